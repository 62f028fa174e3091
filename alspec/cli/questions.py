"""The questions of `alspec init --ask`: name, classes, what to measure on, images a batch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from alspec.cli import console
from alspec.datasets.proposals.contents import MOST_CLASSES, MaskContents, yaml_text
from alspec.datasets.proposals.proposal import Proposal
from alspec.errors import InputError
from alspec.spec.fields import Name

_T = TypeVar("_T")
_NO_CLASS = "-"
_BATCH = 50


def require_terminal() -> None:
    """Raise InputError where nobody can answer."""
    if not sys.stdin.isatty():
        what = "there is no terminal to answer on; without --ask the same is proposed, unasked"
        raise InputError.at("--ask", what)


def ask_about(proposal: Proposal) -> Proposal:
    """Ask for what only a person knows; Enter takes what is proposed."""
    if not proposal.measuring:  # an official tree, or none with images
        return proposal
    kind = "project" if proposal.is_project else "study"
    values = dict(proposal.values)
    console.err.print("Enter takes what is in brackets.")
    name = _ask(f"Name of the {kind}, as in file names", str(values[kind]).strip('"'), _as_name)
    values |= {kind: yaml_text(name), "name": yaml_text(name)}
    values |= _ask_classes(proposal.contents)
    if len(proposal.measuring) > 1:
        values["val"] = _ask_measuring(proposal)
    if proposal.is_project:
        values["batch"] = str(_ask("Images that people label in one go", str(_BATCH), _as_count))
    return proposal.with_values(values)


def _ask_classes(contents: MaskContents | None) -> dict[str, str | None]:
    if contents is None:
        names = _ask(
            "Names of your classes, with commas between them; in masks the first is value 0, the "
            "next 1 …",
            "background, object",
            _as_names,
        )
        return {"classes": f"[{', '.join(map(yaml_text, names))}]"}
    if len(contents.classes) > MOST_CLASSES:
        return {}
    what = "colour" if contents.is_coloured else "value"
    console.err.print(
        f"Name each {what} in the masks; {_NO_CLASS} for one to ignore, as void or unlabelled."
    )
    while True:
        answers: list[str | None] = []
        for code, name in zip(contents.classes, contents.default_names(), strict=True):
            question = f"  {what} {code}, in no mask"
            if code in contents.shares:
                share, example = 100 * contents.shares[code], contents.examples[code]
                question = f"  {what} {code}, {share:.3g} % of the pixels, most in {example}"
            answer = _ask(question, name, str.strip)
            answers.append(None if answer == _NO_CLASS else answer)
        if len({name for name in answers if name}) > 1:
            return contents.as_yaml(answers)
        console.err.print("A model needs two classes at least; once more.")


def _ask_measuring(proposal: Proposal) -> str | None:
    console.err.print("What is the model measured on?")
    for number, one in enumerate(proposal.measuring, start=1):
        console.err.print(f"  {number}: {one.words}", markup=False)
    most = len(proposal.measuring)
    chosen = _ask("Its number", "1", lambda text: _as_count(text, most))
    return proposal.measuring[chosen - 1].value


def _ask(question: str, default: str, parse: Callable[[str], _T]) -> _T:
    """The answer, asked again until it can be parsed. Raises KeyboardInterrupt for Ctrl-C."""
    while True:
        try:
            answer: str = typer.prompt(question, default=default, err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None
        try:
            return parse(answer)
        except ValueError as err:
            console.err.print(f"  {err}", markup=False)


def _as_name(text: str) -> str:
    try:
        return TypeAdapter(Name).validate_python(text.strip())
    except ValidationError as err:
        what = "80 letters, digits and . _ + - at most; the first a letter or a digit"
        raise ValueError(what) from err


def _as_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError("two different names at least, with a comma between them")
    return names


def _as_count(text: str, most: int | None = None) -> int:
    if text.strip().isdigit() and 1 <= int(text) <= (most or int(text)):
        return int(text)
    raise ValueError(f"a number from 1 {f'to {most}' if most else 'on'}")
