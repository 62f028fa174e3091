"""Reference pages, made from the code: spec fields, commands, files. Prints one by its name."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import typer

from alspec.cli.main import app
from alspec.errors import ExitCode
from alspec.results.epochs import IDENTITY as CURVES
from alspec.results.s4gan_signals import COLUMNS as S4GAN
from alspec.results.s4gan_signals import IDENTITY as SIGNALS
from alspec.results.selection_files import PICKS
from alspec.results.table import COLUMNS
from alspec.spec.schema import json_schema
from alspec.store.folders import StoreFolders
from alspec.store.project_folder import BatchFolder, ProjectFolder
from alspec.store.study_folder import StudyFolder

_MADE = "<!-- made from the code by docs/reference_pages.py -->"
_SPECS = ("Study", "Project")

_EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.STEP_FAILED: "a step failed; the others are done",
    ExitCode.BAD_INPUT: "bad spec, data or arguments; nothing was run",
    ExitCode.WAITING_FOR_LABELS: "waiting for labels (select, ingest, status, run of a project)",
    ExitCode.LOCKED: "other runs or jobs are at all that is left (`run --no-wait`)",
    ExitCode.STORE_DAMAGED: "the store is corrupt or cannot be written",
    ExitCode.INTERRUPTED: "interrupted; run again to go on",
    ExitCode.CTRL_C: "stopped by Ctrl-C",
}

_VARIABLES = {
    "ALSPEC_CHECKPOINT_ITERATIONS": "a training writes a checkpoint every n iterations, "
    "in place of every minute",
    "ALSPEC_JOB": "the name of the cluster's job that a run is part of; not needed under Slurm",
    "ALSPEC_PYTHONPATH": "absolute folders that workers import from after all that is installed",
    "ALSPEC_SUBMISSION": "names the command that started several runs as its pilots: a step that "
    "failed in two of them is not tried by the others; set by the cluster executors",
}


@cache
def _definitions() -> Mapping[str, Any]:
    definitions: Mapping[str, Any] = json_schema()["definitions"]
    return definitions


def spec_page() -> str:
    """Every key of a spec, from the JSON schema that `alspec schema` prints."""
    definitions = _definitions()
    others = sorted(name for name in definitions if _own_name(name) == name)
    order = [*_SPECS, *(name for name in others if name not in _SPECS)]
    parts = [
        "# Spec\n",
        _MADE,
        "\nEvery key, its type, and its default: the paper's value wherever the paper gives one. "
        "A file with `study` is a study, one with `project` a "
        "[labelling project](../tutorial/labelling.md). Unknown keys are errors with a suggestion. "
        "`${VAR}` and `${VAR:-default}` work in paths and nowhere else; relative paths start at "
        "the current directory. `alspec schema` prints the same for editors.\n",
    ]
    for name in order:
        parts.append(f"## {name}\n")
        parts.extend(_definition(definitions[name]))
    return "\n".join(parts)


def _definition(schema: Mapping[str, Any]) -> Iterator[str]:
    if about := schema.get("description"):
        yield inspect.cleandoc(about) + "\n"
    fields = schema.get("properties")
    if not fields:
        yield f"{_type(schema)}\n"
        return
    required = set(schema.get("required", ()))
    for choice in schema.get("anyOf", ()):
        required |= set(choice.get("required", ())) - {"extends"}
    yield "| key | type | default | |"
    yield "| :-- | :-- | :-- | :-- |"
    for key, field in fields.items():
        default = "required" if key in required else _default(field)
        about = _cell(field.get("description", ""))
        yield f"| `{key}` | {_cell(_type(field))} | {default} | {about} |"
    yield ""


def _anchor(heading: str) -> str:
    """What MkDocs calls a heading of the page in links."""
    return re.sub(r"[^\w-]", "", heading.lower())


def _own_name(name: str) -> str:
    """Each kind of dataset has copies of what all of them take: those are shown once."""
    *owner, last = name.split(".")
    kind = "folder" if owner[:2] == ["dataset", "partly_labelled"] else ""
    if len(owner) > 1 and last in _definitions():
        return last
    return f"dataset.{kind}.{last}" if kind and len(owner) > 1 else name


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return ""
    value = field["default"]
    if value is None:
        return "none"
    written = value if isinstance(value, str) else json.dumps(value)
    return f"`{_cell(written)}`"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = _own_name(schema["$ref"].rsplit("/", 1)[-1])
        return f"[{name}](#{_anchor(name)})"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            kinds = [_type(each) for each in schema[choice]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if "if" in schema:
        return " or ".join(_branches(schema))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return _plain(schema)


def _branches(schema: Mapping[str, Any]) -> Iterator[str]:
    """The choices of `if`, `then`, `else`, one inside the other."""
    yield _type(schema.get("then", {}))
    rest = schema.get("else", {})
    if "if" in rest:
        yield from _branches(rest)
    elif rest:
        yield _type(rest)


def _plain(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "")
    if kind == "null":
        return "none"
    if kind == "array":
        items = schema.get("items", {})
        if isinstance(items, list):
            return f"{len(items)} of {_type(items[0])}" if items else "list"
        return f"list of {_type(items)}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {_type(inner)}" if isinstance(inner, Mapping) and inner else "mapping"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[name]:g}" for name, sign in bounds.items() if name in schema]
    names = {"string": "text", "boolean": "true, false"}
    words = names.get(kind, kind) if isinstance(kind, str) else " or ".join(kind)
    return " ".join([words, ", ".join(limits)]).strip()


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _code(text: str) -> str:
    """Code in a table's cell; a bar would end the cell, and backslashes are shown in code."""
    if "|" in text:
        return f"<code>{_cell(text).replace(chr(92) + '|', '&#124;')}</code>"
    return f"`{text}`"


def commands_page() -> str:
    """Every command with its arguments and options, and the exit codes."""
    parts = ["# Commands\n", _MADE, "\n`alspec COMMAND --help` says the same.\n"]
    parts.extend(_commands("alspec", typer.main.get_command(app)))
    parts += ["## Exit codes\n", "| code | |", "| --: | :-- |"]
    parts += [f"| {int(code)} | {_EXIT_CODES[code]} |" for code in ExitCode]
    parts += ["\n## Environment variables\n", "| variable | |", "| :-- | :-- |"]
    parts += [f"| `{name}` | {about} |" for name, about in _VARIABLES.items()]
    return "\n".join([*parts, ""])


def _commands(path: str, command: Any) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        for name, each in inner.items():
            yield from _commands(f"{path} {name}", each)
        return
    about, _, example = inspect.cleandoc(command.help or "").partition("Example:")
    yield f"## {path}\n\n{about.strip()}\n"
    if example:
        yield f"```sh\n{example.strip()}\n```\n"
    if not command.params:
        return
    yield "| | default | |"
    yield "| :-- | :-- | :-- |"
    for each in command.params:
        names = each.metavar or each.name.upper() if _is_argument(each) else _option_names(each)
        yield f"| {_code(names)} | {_shown_default(each)} | {_cell(each.help or '')} |"
    yield ""


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _option_names(param: Any) -> str:
    return ", ".join((*param.opts, *param.secondary_opts))


def _shown_default(param: Any) -> str:
    if param.required:
        return "required"
    shown = param.show_default if isinstance(param.show_default, str) else param.default
    if shown is None or shown is False or shown == ():
        return ""
    return _code(str(getattr(shown, "value", shown)))


def files_page() -> str:
    """What lies below a work directory, from the classes that own those paths."""
    parts = [
        "# Files\n",
        _MADE,
        "\nA study's folder is readable without alspec. The store is shared by all studies of a "
        "work directory; its steps are named by their keys.\n",
    ]
    groups: tuple[tuple[str, type], ...] = (
        ("A study: `work_dirs/<study>/`", StudyFolder),
        ("A labelling project: `work_dirs/<project>/`, beside what a study has", ProjectFolder),
        ("A batch: `work_dirs/<project>/batches/<nn>/`", BatchFolder),
        ("The store: `work_dirs/.store/`", StoreFolders),
    )
    for title, owner in groups:
        parts += [f"## {title}\n", "| name | what |", "| :-- | :-- |"]
        parts += [f"| `{name}` | {about} |" for name, about in _paths(owner)]
        if owner is StoreFolders:
            parts.append(
                "| `<key>/` | A committed step: its artifacts, and `manifest.json` with the "
                "SHA-256 and size of every file. It is there whole or not at all. |"
            )
        parts.append("")
    parts.append("## Tables\n\nPercentages have four decimals; an absent class is empty.\n")
    parts += [f"- `{name}.csv`: {', '.join(columns)}" for name, columns in COLUMNS.items()]
    parts += [
        f"- `training.csv`, a row an epoch of each labelled set's training: {', '.join(CURVES)}, "
        "epoch, lr, then every loss and score of the training; with s4GAN `accepted`, "
        "`score_real` and `score_fake` among them. Labelled sets that share a training have the "
        "same `train_key`.",
        f"- `s4gan.csv`, a row a training with s4GAN: {', '.join((*SIGNALS, *S4GAN))}",
        "- `selections/<run>/cycle_<k>.txt`: the labelled set, an image id a line, in the order "
        "of choice",
        f"- `selections/<run>/picks_<k>.csv`, what the cycle added: {', '.join(PICKS)}; the score "
        "is empty for methods that give none",
    ]
    return "\n".join([*parts, ""])


def _paths(owner: type) -> Iterator[tuple[str, str]]:
    for name, member in vars(owner).items():
        if isinstance(member, property) and name not in ("root", "store", "trusted", "number"):
            source = inspect.getsource(member.fget)  # type: ignore[arg-type]
            if "self.root / " in source:
                file = source.rsplit('self.root / "', 1)[-1].split('"')[0]
                yield file, inspect.cleandoc(member.__doc__ or "").splitlines()[0]


PAGES: Mapping[str, Callable[[], str]] = {
    "spec": spec_page,
    "commands": commands_page,
    "files": files_page,
}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())
