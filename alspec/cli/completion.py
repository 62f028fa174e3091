"""Completion scripts for shells, made from the commands themselves; a TAB starts no Python."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import get_args, get_type_hints

import typer
from typer.models import CommandInfo, OptionInfo


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command: its spellings, what it is for, the values it may have."""

    names: tuple[str, ...]
    about: str
    takes_value: bool
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a group: its path below `alspec`, what it has, the values of its arguments."""

    path: tuple[str, ...]
    about: str
    commands: tuple[str, ...]
    options: tuple[Option, ...]
    values: tuple[str, ...]


def completion(app: typer.Typer, shell: str) -> None:
    """Print the script of a shell."""
    scripts = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}
    typer.echo(scripts[shell](list(commands_of(app))), nl=False)


def commands_of(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """The group that an app is, and all commands and groups below it.

    Read from the functions' own annotations: what parses them differs between versions of typer.
    """
    groups = {str(info.name): info.typer_instance for info in app.registered_groups}
    commands = {_name_of(info): info.callback for info in app.registered_commands}
    about = str(getattr(app.info, "help", "") or "").rstrip(".")
    options = list(_options(app.registered_callback.callback)) if app.registered_callback else []
    yield Command(path, about, (*commands, *groups), (*options, _HELP), ())
    for name, callback in commands.items():
        text = (inspect.getdoc(callback) or "").split("\n")[0].rstrip(".")
        yield Command((*path, name), text, (), (*_options(callback), _HELP), _values(callback))
    for name, group in groups.items():
        if group is not None:
            yield from commands_of(group, (*path, name))


_HELP = Option(("-h", "--help"), "Show this message and exit.", False, ())


def _name_of(info: CommandInfo) -> str:
    return str(info.name or getattr(info.callback, "__name__", "").replace("_", "-"))


def _parameters(callback: object) -> Iterator[tuple[str, object, object]]:
    """Name, type and typer's description of each parameter."""
    for name, hint in get_type_hints(callback, include_extras=True).items():
        described = getattr(hint, "__metadata__", ())
        if described:
            yield name, get_args(hint)[0], described[0]


def _options(callback: object) -> Iterator[Option]:
    for name, kind, info in _parameters(callback):
        if isinstance(info, OptionInfo):
            # In an annotation typer takes the first spelling for the default at first.
            written = [info.default, *(info.param_decls or ())]
            declared = [
                part for each in written if isinstance(each, str) for part in each.split("/")
            ]
            spelled = [each for each in declared if each.startswith("-")]
            names = tuple(spelled or [f"--{name.replace('_', '-')}"])
            flag = bool in (kind, *get_args(kind))
            yield Option(names, info.help or "", not flag, _choices(kind))


def _values(callback: object) -> tuple[str, ...]:
    """The values that a command's arguments may have, where they are among a few."""
    arguments = (
        kind for _, kind, info in _parameters(callback) if not isinstance(info, OptionInfo)
    )
    return tuple(value for kind in arguments for value in _choices(kind))


def _choices(kind: object) -> tuple[str, ...]:
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and issubclass(each, Enum):
            return tuple(str(member.value) for member in each)
    return ()


def bash_script(commands: list[Command]) -> str:
    """For bash 3.2 and later: words of the command, else files."""
    lines = [
        "# bash: put it into ~/.local/share/bash-completion/completions/alspec",
        "_alspec() {",
        '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" at="" word',
        '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        '    case "$at/$word" in',
        *(
            f"      {'/'.join(('', *each.path))}) at={'/'.join(('', *each.path))} ;;"
            for each in commands
            if each.path
        ),
        "    esac",
        "  done",
        '  local words="" values=""',
        '  case "$at" in',
    ]
    for each in commands:
        names = [name for option in each.options for name in option.names]
        words = " ".join((*each.commands, *each.values, *names))
        lines.append(f'    "{"/".join(("", *each.path)) if each.path else ""}")')
        lines.append(f'      words="{words}"')
        lines.append('      case "$prev" in')
        for option in each.options:
            if option.values:
                lines.append(
                    f'        {"|".join(option.names)}) values="{" ".join(option.values)}" ;;'
                )
        lines += ["      esac ;;"]
    lines += [
        "  esac",
        '  COMPREPLY=($(compgen -W "${values:-$words}" -- "$cur"))',
        '  if [ -z "$values" ] && [ "${cur#-}" = "$cur" ] && [ -n "$at" ]; then',
        '    COMPREPLY+=($(compgen -f -- "$cur"))',
        "  fi",
        "}",
        "complete -o filenames -F _alspec alspec",
        "",
    ]
    return "\n".join(lines)


def zsh_script(commands: list[Command]) -> str:
    """For zsh: words with what they are for, else files."""
    lines = [
        "#compdef alspec",
        "# zsh: name it _alspec, in a folder of $fpath",
    ]
    for each in commands:
        lines += [f"{_function(each.path)}() {{", "  local curcontext=$curcontext state line"]
        options = [_zsh_option(option) for option in each.options]
        if each.commands:
            about = {c.path: c.about for c in commands}
            listed = " ".join(
                _quoted(f"{name}:{about[(*each.path, name)]}") for name in each.commands
            )
            lines += [
                f"  _arguments -C {' '.join(options)} '1:command:->command' '*::argument:->rest'",
                '  case "$state" in',
                f"    command) local -a known=({listed}); _describe command known ;;",
                '    rest) case "$line[1]" in',
                *(f"      {name}) {_function((*each.path, name))} ;;" for name in each.commands),
                "    esac ;;",
                "  esac",
            ]
        else:
            values = f"'1:value:({' '.join(each.values)})'" if each.values else "'*:file:_files'"
            lines.append(f"  _arguments {' '.join(options)} {values}")
        lines.append("}")
    return "\n".join(
        [
            *lines,
            'if [ "$funcstack[1]" = _alspec ]; then _alspec "$@"; else compdef _alspec alspec; fi',
            "",
        ]
    )


def fish_script(commands: list[Command]) -> str:
    """For fish: words with what they are for, else files."""
    lines = ["# fish: put it into ~/.config/fish/completions/alspec.fish"]
    about = {each.path: each.about for each in commands}
    for each in commands:
        seen = [f"__fish_seen_subcommand_from {name}" for name in each.path]
        if each.commands:
            others = f"not __fish_seen_subcommand_from {' '.join(each.commands)}"
            where = _quoted("; and ".join([*seen, others]))
            for name in each.commands:
                text = _quoted(about[(*each.path, name)])
                lines.append(f"complete -c alspec -n {where} -f -a {name} -d {text}")
        where = _quoted("; and ".join(seen)) if seen else "__fish_use_subcommand"
        for value in each.values:
            lines.append(f"complete -c alspec -n {where} -f -a {value}")
        for option in each.options:
            lines.append(f"complete -c alspec -n {where} {_fish_option(option)}")
    return "\n".join([*lines, ""])


def _function(path: tuple[str, ...]) -> str:
    return "_".join(("_alspec", *path)).replace("-", "_")


def _zsh_option(option: Option) -> str:
    about = option.about.replace("[", "(").replace("]", ")").replace(":", "\\:")
    value = f":value:({' '.join(option.values)})" if option.values else ":value:_files"
    text = f"[{about}]{value if option.takes_value else ''}"
    return " ".join(_quoted(f"{name}{text}") for name in option.names)


def _fish_option(option: Option) -> str:
    names = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    ]
    value = f" -x -a {_quoted(' '.join(option.values))}" if option.values else " -r"
    return f"{' '.join(names)}{value if option.takes_value else ''} -d {_quoted(option.about)}"


def _quoted(text: str) -> str:
    """A word in single quotes, as every shell reads it."""
    return "'" + text.replace("'", "'\\''") + "'"
