"""Where a cell's own evidence contradicts it, is thin, or says more than its mIoU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alspec.recommend.evidence import Evidence
from alspec.recommend.paper import PaperRow
from alspec.recommend.table6 import Cell, Guide

_NOTABLE_POINTS = 1.0


def caveats_of(cell: Cell, evidence: Sequence[Evidence], guide: Guide) -> Iterator[str]:
    """Sentences computed from the paper's rows, setting by setting, then over all of them.

    Args:
        cell: of the guide.
        evidence: the paper's settings that fall into it.
        guide: names and families.
    """
    for setting in evidence:
        yield from _of_setting(setting, guide)
        if cell.use_ssl:
            yield from _lowered_by_ssl(cell, setting, guide)
    if len(evidence) == 1:
        where = _where(evidence[0], guide)
        yield f"Only one setting of the paper supports this cell: {where}."
    yield from _other_winners_by_auc(evidence, guide)
    yield from _with_dropout(evidence, guide)


def _of_setting(setting: Evidence, guide: Guide) -> Iterator[str]:
    """A better method, a better method that the guide does not rank, none better than Random."""
    where = _where(setting, guide)
    advised, best = setting.advised, setting.best
    name = _title(advised, guide)
    if setting.regret > _NOTABLE_POINTS:
        yield (
            f"On {where} {_title(best, guide)} wins: {name} stays {setting.regret:.2f} mIoU points "
            f"below it, {advised.miou:.2f} against {best.miou:.2f}."
        )
    if setting.outside is not None:
        yield (
            f"On {where} {_title(setting.outside, guide)}, which the guide does not rank, "
            f"is {setting.outside.miou - advised.miou:.2f} mIoU points above {name}."
        )
    for random in _randoms(setting):
        if advised.miou < random.miou:
            yield (
                f"On {where} {name} stays {random.miou - advised.miou:.2f} mIoU points below "
                f"{_title(random, guide)}, {advised.miou:.2f} against {random.miou:.2f}."
            )
    if advised.auc != advised.auc_printed:
        yield f"AUC of {where} follows eq. (1), which is half of what that table prints."


def _randoms(setting: Evidence) -> Iterator[PaperRow]:
    """Random without SSL, and Random of the advised arm where that is another."""
    for row in setting.rivals:
        if row.method == "random" and row.ssl in (False, setting.advised.ssl):
            yield row


def _lowered_by_ssl(cell: Cell, setting: Evidence, guide: Guide) -> Iterator[str]:
    """The family's methods that SSL makes worse."""
    by_arm = {(row.method, row.ssl): row for row in setting.rivals}
    pairs = [
        (by_arm[method, False], by_arm[method, True])
        for method in guide.families[cell.family].methods
        if (method, False) in by_arm and (method, True) in by_arm
    ]
    lowered = [(plain, ssl) for plain, ssl in pairs if ssl.miou < plain.miou]
    if lowered:
        which = ", ".join(
            f"{_title(plain, guide)} from {plain.miou:.2f} to {ssl.miou:.2f}"
            for plain, ssl in lowered
        )
        all_of = "every method of this family: " if len(lowered) == len(pairs) > 1 else ""
        yield f"On {_where(setting, guide)} s4GAN lowers {all_of}{which} mIoU."


def _other_winners_by_auc(evidence: Sequence[Evidence], guide: Guide) -> Iterator[str]:
    """Settings whose best method by AUC is not their best by mIoU, in one sentence."""
    found = []
    for setting in evidence:
        best = setting.best
        first = max(
            setting.rivals,
            key=lambda row: (row.auc or 0.0, row is best),
        )
        if first is not best and first.auc is not None and best.auc is not None:
            found.append(
                f"{_title(first, guide)} on {_where(setting, guide)}, {first.auc:.2f} against "
                f"{best.auc:.2f} of {_title(best, guide)}"
            )
    if found:
        yield f"By AUC another method wins than by mIoU: {'; '.join(found)}."


def _with_dropout(evidence: Sequence[Evidence], guide: Guide) -> Iterator[str]:
    """How often BALD is above what is advised, and whether its architecture does too."""
    pairs: list[tuple[str, float, float]] = []
    for setting in evidence:
        rows = {(row.method, row.ssl, row.mc_dropout): row for row in setting.rows}
        bald = rows.get(("bald", setting.advised.ssl, True))
        if bald is not None:
            full = rows["full", False, True].miou - rows["full", False, False].miou
            name = guide.datasets[setting.advised.dataset].title
            pairs.append((name, bald.miou - setting.advised.miou, full))
    gains = [gain for _, gain, _ in pairs if gain > 0]
    fulls = [full for _, gain, full in pairs if gain > 0]
    if 2 * len(gains) <= len(pairs):
        return
    names = ", ".join(name for name, _, _ in pairs)
    higher = sum(full > 0 for full in fulls)
    yield (
        f"BALD, in an architecture of its own with dropout layers, is above what is advised in "
        f"{len(gains)} of the {len(pairs)} settings that have it ({names}), by {_span(gains)} mIoU "
        f"points; its own Full is above the other Full in {higher} of these {len(gains)}, by "
        f"{_span(fulls)}."
    )


def _span(points: Sequence[float]) -> str:
    return f"{min(points):.2f} to {max(points):.2f}"


def _where(setting: Evidence, guide: Guide) -> str:
    row = setting.advised
    return f"{guide.datasets[row.dataset].title} {row.budget} (Table {row.table})"


def _title(row: PaperRow, guide: Guide) -> str:
    return guide.titles[row.method] + ("-SSL" if row.ssl else "")
