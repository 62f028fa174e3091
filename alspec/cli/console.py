"""What alspec prints: tables, JSON, notes, errors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alspec.system.printable import printable

if TYPE_CHECKING:
    from alspec.recommend.guide import Entry
    from alspec.run.explain import Explanation


class SafeConsole(Console):
    """A console on which text carries out nothing: escape sequences in it are written out."""

    def print(self, *objects: object, **how: Any) -> None:
        """Print as rich does; text of any origin is harmless."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **how)


out = SafeConsole(highlight=False, soft_wrap=True, emoji=False)
err = SafeConsole(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def shown(text: str) -> str:
    """Text of any origin as rich's markup that shows just itself."""
    return escape(printable(text))


def say_json(data: object) -> None:
    """JSON alone on standard output."""
    out.print(json.dumps(data, indent=2, allow_nan=False), markup=False)


def say_error(error: Exception) -> None:
    """An error in full on standard error."""
    err.print(f"[bold red]error[/] {shown(str(error))}")


def say_note(text: str) -> None:
    """Something to know that stops nothing, on standard error."""
    err.print(f"[yellow]-[/] {shown(text)}")


def say_notes(texts: Iterable[str]) -> None:
    """Several of them."""
    for text in texts:
        say_note(text)


def say_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output."""
    table = Table(title=shown(title) or None, title_justify="left", header_style="bold", box=None)
    for name in header:
        table.add_column(shown(name), overflow="fold")
    for row in rows:
        table.add_row(*(shown(str(cell)) for cell in row))
    out.print(table, soft_wrap=False)


def say_finding(mark: str, name: str, detail: str) -> None:
    """One line of the doctor's."""
    out.print(f"{mark} {shown(name)}: {shown(detail)}")


def say_advice(entries: Sequence[Entry]) -> None:
    """Cells of the guide: what each advises, on what evidence, and the limits, each once."""
    common = [
        caveat
        for caveat in (entries[0].caveats if len(entries) > 1 else ())
        if all(caveat in entry.caveats for entry in entries)
    ]
    for entry in entries:
        _say_cell(entry)
        _say_caveats("  ", [caveat for caveat in entry.caveats if caveat not in common])
    _say_caveats("", common)


def _say_cell(entry: Entry) -> None:
    arm = "SSL allowed" if entry.ssl else "no SSL"
    family = entry.family.capitalize()
    methods = ", ".join(method.capitalize() for method in entry.methods)
    advised = family if methods == family else f"{family} ({methods})"
    advised += " with SSL" if entry.use_ssl else ""
    out.print(f"redundancy {entry.redundancy}, budget {entry.budget}, {arm}: [bold]{advised}[/]")
    out.print(f"  {shown(entry.summary)}")


def _say_caveats(indent: str, caveats: Iterable[str]) -> None:
    for caveat in caveats:
        out.print(f"{indent}[yellow]caveat[/] {shown(caveat)}")


def say_explanations(found: Sequence[Explanation]) -> None:
    """Steps one by one: whether each is done, and what changed."""
    from alspec.run.explain import in_words

    for one in found:
        out.print(f"[bold]{shown(one.step)}[/] ({one.key[:12]}): {one.state.value}")
        for change in one.changes:
            where = "" if change.step == one.step else f" (in {change.step})"
            out.print(f"  {shown(in_words(change) + where)}")


def say_reasons(study: str, found: Sequence[Explanation]) -> None:
    """How many steps are done, and those that will run by their reason."""
    from alspec.run.explain import State, reasons

    waiting = [one for one in found if one.state is not State.DONE]
    title = f"{study}: {len(found) - len(waiting)} of {len(found)} steps done"
    if waiting:
        say_table(title, ("why", "steps to run", "what changed"), reasons(waiting))
    else:
        out.print(title, markup=False)
