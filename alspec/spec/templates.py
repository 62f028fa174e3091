"""Specs to start from: commented, with the lines that point editors to their schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from alspec.errors import InputError
from alspec.spec.schema import json_schema
from alspec.spec.validation import nearest
from alspec.system.atomic import write_text

SCHEMA_FILE = "alspec.schema.json"
_FILES = Path(__file__).parent / "template_files"
_SUFFIXES = (".yaml", ".yml")
_MODELINES = (
    f"# yaml-language-server: $schema=./{SCHEMA_FILE}\n"  # VS Code, Neovim, Emacs, Helix
    f"# $schema: ./{SCHEMA_FILE}\n"  # PyCharm and its relatives
)


@cache
def template_names() -> tuple[str, ...]:
    """The templates, sorted."""
    return tuple(sorted(path.stem for path in _FILES.glob("*.yaml")))


def template(name: str) -> str:
    """The text of a template.

    Raises:
        InputError: there is no such template.
    """
    if name not in template_names():
        near = nearest(name, template_names())
        hint = f"Did you mean `{near}`? " if near else ""
        raise InputError.at(
            f"--template {name}", f"no such template. {hint}Known: {', '.join(template_names())}"
        )
    return (_FILES / f"{name}.yaml").read_text("utf-8")


def with_values(text: str, values: Mapping[str, str | None]) -> str:
    """A template with other values for some of its keys, which may be commented out in it.

    Args:
        text: a template in which each of the keys occurs once, on a line of its own.
        values: YAML by key; None comments a key out.
    """
    for key, value in values.items():
        line = re.compile(
            rf"^(?P<indent>\s*(?:- )?)(?:# )?{key}: .*?(?P<note>\s+#.*)?$", re.MULTILINE
        )

        def changed(found: re.Match[str], key: str = key, value: str | None = value) -> str:
            if value is None:
                return f"{found['indent']}# {found[0].strip().removeprefix('# ')}"
            head, note = f"{found['indent']}{key}: {value}", (found["note"] or "").strip()
            column = len(found[0]) - len(note)
            return f"{head:<{column - 1}} {note}" if note else head

        text, times = line.subn(changed, text)
        if times != 1:
            raise ValueError(f"`{key}` occurs {times} times in the template")
    return text


def require_new(path: Path) -> None:
    """Raise InputError for a file that is there already."""
    if path.exists():
        what = "exists already and is left as it is; move it away, or choose another name"
        raise InputError.at(path, what)


def write_spec(path: Path, text: str) -> Path:
    """Write a spec and, beside it, the schema that its first lines name.

    Args:
        path: a file that does not exist yet; its folder is made.
        text: the spec, without the lines for editors.

    Returns:
        The schema's path.

    Raises:
        InputError: the file exists, or its name is none of a YAML file, or it cannot be written;
            nothing has been changed.
    """
    if path.suffix not in _SUFFIXES:
        raise InputError.at(
            path, f"a spec is a YAML file: name it {path.name}.yaml, or name an existing folder"
        )
    require_new(path)
    schema = path.parent / SCHEMA_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(schema, json.dumps(json_schema(), indent=1) + "\n")
        write_text(path, _MODELINES + text)
    except OSError as err:
        raise InputError.at(err.filename or path, f"cannot be written ({err.strerror})") from err
    return schema
