"""YAML text to plain data: YAML 1.2 scalars, no tags, no aliases, and a place for every value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import yaml

from alspec.errors import Problem, SpecError
from alspec.spec.fields import Template
from alspec.spec.source import LINE_END, Loc, Place, Source, Span
from alspec.system.reading import open_regular

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_VALUES = 20_000
_MAX_DIGITS = 300
_GLUED = re.compile(r"\s*(?:- )?(\w+:)([^\s/].*)")
"""A key and its value that a blank should separate."""
_MAX_PROBLEMS = 100

SCALARS = {
    "tag:yaml.org,2002:null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "tag:yaml.org,2002:bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "tag:yaml.org,2002:int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "tag:yaml.org,2002:float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}
"""Plain scalars that are not text, by tag, tried in this order (YAML 1.2 core schema)."""


def read_yaml(path: Path) -> Source:
    """Read a file.

    Raises:
        SpecError: not a readable file, too large, not UTF-8, or what `parse_yaml` refuses.
    """
    name = str(path)
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError.at(name, "no such file; `alspec init` writes one to start from") from None
    except IsADirectoryError:
        raise SpecError.at(name, "this is a folder; name the spec file in it") from None
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) and err.strerror else err
        raise SpecError.at(name, f"the file cannot be read: {why}") from None
    if len(content) > MAX_BYTES:
        raise SpecError.at(name, f"larger than {MAX_BYTES >> 20} MB; is this a study spec?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        before = content[: err.start].decode("utf-8-sig", errors="replace")
        lines = LINE_END.split(before)
        where = f"{name}:{len(lines)}:{len(lines[-1]) + 1}"
        raise SpecError.at(where, "not UTF-8 from here on; save the file as UTF-8") from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> Source:
    """Parse one YAML document of plain data.

    Raises:
        SpecError: not YAML, or YAML with tags, anchors, aliases, merge keys, repeated keys, keys
            that are not text, several documents, or more than `MAX_DEPTH` levels or `MAX_VALUES`
            values.
    """
    source = Source(name, LINE_END.split(text))
    node = _compose(text, source)
    problems: list[Problem] = []
    source.data = None if node is None else _construct(node, (), None, source, problems)
    source.positions.setdefault((), Place(Span(0, 0, 1)))
    if problems:
        raise SpecError(problems[:_MAX_PROBLEMS])
    return source


class _Mark(Protocol):
    """A place in the text; PyYAML has a type of its own for it with libyaml, and one without."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Refused(Exception):
    def __init__(self, mark: _Mark | None, what: str) -> None:
        self.mark, self.what = mark, what


class _Composer(yaml.SafeLoader):
    depth = 0
    values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.NodeEvent = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _Refused(
                event.start_mark, "anchors (&) and aliases (*) are not allowed in a spec"
            )
        if (tag := getattr(event, "tag", None)) is not None:
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise _Refused(event.start_mark, f"the tag `{tag}` is not allowed; a spec is data")
        if self.depth == MAX_DEPTH:
            raise _Refused(event.start_mark, f"nested more than {MAX_DEPTH} levels deep")
        self.values += 1
        if self.values > MAX_VALUES:
            raise _Refused(
                event.start_mark, f"more than {MAX_VALUES:,} values; a spec has hundreds"
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, source: Source) -> yaml.Node | None:
    try:
        loader = _Composer(text)
        node = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            event: yaml.Event = loader.peek_event()  # type: ignore[no-untyped-call]
            raise _Refused(event.start_mark, "a second document; a spec has one")
    except _Refused as err:
        problem = source.at(_span(err.mark, err.mark) if err.mark else None, err.what)
    except yaml.reader.ReaderError as err:
        lines = LINE_END.split(text[: err.position])
        what = f"the character {chr(err.character)!a} is not allowed in YAML"
        problem = source.at(Span(len(lines) - 1, len(lines[-1]), 1), what)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        what = _not_yaml(err)
        begun = source.lines[err.context_mark.line] if err.context_mark else ""
        if glued := _GLUED.fullmatch(begun):
            mark, what = err.context_mark, f"put a blank after the colon: `{glued[1]} {glued[2]}`"
        if mark and source.lines[mark.line][: mark.column + 1].endswith("${"):
            what = "between brackets or braces, put text with `${...}` in quotes"
        problem = source.at(_span(mark, mark) if mark else None, what)
    except (yaml.YAMLError, ValueError, OverflowError) as err:  # such as "\UFFFFFFFF"
        mark = loader.get_mark()
        problem = source.at(_span(mark, mark), f"not valid YAML: {err}")
    else:
        return node
    raise SpecError([problem]) from None


def _not_yaml(err: yaml.MarkedYAMLError) -> str:
    if err.problem and "'\\t'" in err.problem:
        return "a tab where YAML needs spaces; indent with spaces"
    began = f", {err.context}" if err.context else ""
    if err.context_mark and err.context_mark is not err.problem_mark:
        began += f" that began at line {err.context_mark.line + 1}"
    return f"not valid YAML: {err.problem}{began}"


def _span(start: _Mark, end: _Mark) -> Span:
    one_line = start.line == end.line
    return Span(start.line, start.column, max(1, end.column - start.column) if one_line else 1)


def _construct(
    node: yaml.Node, loc: Loc, key: Span | None, source: Source, problems: list[Problem]
) -> object:
    source.positions[loc] = Place(_span(node.start_mark, node.end_mark), key)
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(item, (*loc, index), None, source, problems)
            for index, item in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        return {
            name: _construct(item, (*loc, name), span, source, problems)
            for name, span, item in _keys(node, source, problems)
        }
    style = node.style if isinstance(node, yaml.ScalarNode) else None
    try:
        value = scalar(node.value, plain=not style)
    except ValueError as err:
        problems.append(source.at(source.positions[loc].value, str(err), loc))
        return None
    return Template(value) if isinstance(value, str) and "${" in value else value


def _keys(
    node: yaml.MappingNode, source: Source, problems: list[Problem]
) -> Iterator[tuple[str, Span, yaml.Node]]:
    seen: dict[str, Span] = {}
    for key, item in node.value:
        span = _span(key.start_mark, key.end_mark)
        try:
            text = scalar(key.value, plain=not key.style) if isinstance(key.value, str) else None
        except ValueError:
            text = None
        if text == "<<" and not key.style:
            problems.append(source.at(span, "merge keys (<<) are not allowed in a spec"))
        elif not isinstance(text, (str, int)) or isinstance(text, bool):
            shown = f"`{key.value}` is not" if isinstance(key.value, str) else "a key must be"
            problems.append(source.at(span, f"{shown} text; put a key like this in quotes"))
        elif str(text) in seen:
            first = seen[str(text)].line + 1
            what = f"the key `{text}` is repeated; line {first} has it already"
            problems.append(source.at(span, what))
        else:
            seen[str(text)] = span
            yield str(text), span, item


def scalar(text: str, *, plain: bool) -> object:
    """The value of a scalar; `plain` means without quotes.

    Raises:
        ValueError: a number too long to be meant, or half of a surrogate pair.
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("half of a surrogate pair is no character")
    kind = next((tag for tag, form in SCALARS.items() if plain and form.match(text)), "str")
    if kind.endswith(("int", "float")) and len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of more than {_MAX_DIGITS} digits; put text in quotes")
    if kind.endswith("null"):
        return None
    if kind.endswith("bool"):
        return text[0] in "tT"
    if kind.endswith("int"):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if kind.endswith("float"):
        return float(re.sub(r"\.(?=[a-z])", "", text.lower()))
    return text
