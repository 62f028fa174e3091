"""What a comparison lets one say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alspec.report.markdown_text import UNKNOWN, counted, listed, number, percent, table, text
from alspec.results.doubts import Doubts, doubts
from alspec.results.standings import Comparison, Entry, Margin, Standing, standing
from alspec.results.stats import mean_and_spread

_MEASURES = {"miou": "mIoU", "auc": "AUC"}


def verdict(comparison: Comparison) -> str:
    """Who won a setting at the headline budget and over the whole curve, and how sure that is."""
    doubt = doubts(comparison)
    if doubt.allow_no_order:
        return " ".join([_no_order(doubt, comparison), *_doubtful(doubt)])
    found = {measure: standing(comparison.methods, measure) for measure in _MEASURES}
    sentences = []
    at = f"With {percent(comparison.miou_at)} % of the images labelled,"
    if found["miou"] and comparison.at_initial_set:
        sentences.append(f"{at} all methods still share the initial set: nothing to compare.")
    elif found["miou"]:
        said = _ranking(found["miou"], "mIoU") + _basis(found["miou"], comparison)
        sentences.append(f"{at} {said}{_of_full(comparison, found)}.")
    if found["auc"] and comparison.auc_at is not None:
        by = f"Over the whole budget (AUC@{percent(comparison.auc_at)}),"
        said = _ranking(found["auc"], "AUC") + _basis(found["auc"], comparison)
        sentences.append(f"{by} {said}.")
    if not sentences:
        return _nothing_yet(comparison)
    if len(comparison.methods) > 1:
        sentences += _caution([s for s in found.values() if s], comparison)
    return " ".join([*sentences, *_doubtful(doubt)])


def _no_order(doubt: Doubts, comparison: Comparison) -> str:
    """Why methods are not ranked."""
    if doubt.nothing_counts:
        return "No pixel of the validation masks counts, so nothing is measured."
    if doubt.one_class:
        return (
            f"Every model predicts one class only ({listed([text(n) for n in doubt.one_class])}), "
            "so this says nothing yet: train longer, or check `training.lr` and the masks."
        )
    mean = mean_and_spread(list(doubt.tied[0].miou.values()))[0]
    return (
        f"With {percent(comparison.miou_at)} % of the images labelled, {_names([*doubt.tied])} are "
        f"level ({number(mean)} mIoU), so none is best."
    )


def _doubtful(doubt: Doubts) -> list[str]:
    """What makes numbers doubtful that are there."""
    said = []
    if doubt.fewer and not doubt.one_class:
        fewer = [
            f"{text(entry.name)} never predicts {listed([text(name) for name in names])}"
            for entry, names in doubt.fewer
        ]
        said.append(f"Of the classes in the validation set, {'; '.join(fewer)}: claim nothing.")
    if doubt.above_full and not doubt.one_class:
        said.append(
            f"Training on all images is below {_names([*doubt.above_full])}, so trainings have not "
            "converged or seeds are too few: claim nothing."
        )
    return said


def leaders_table(compared: Sequence[tuple[str, Comparison]]) -> str:
    """Who won each of many settings, a row a setting.

    Args:
        compared: comparisons with their titles.
    """
    rows = []
    for title, comparison in compared:
        decided = not comparison.at_initial_set and not doubts(comparison).allow_no_order
        miou = standing(comparison.methods, "miou") if decided else None
        auc = standing(comparison.methods, "auc") if comparison.auc_at is not None else None
        rows.append((title, percent(comparison.miou_at), *_leader(miou), *_leader(auc)))
    header = ("Setting", "B", "Best mIoU@B", "", "over Random", "Best AUC", "", "over Random")
    about = (
        "B: percent labelled. Clear: above the spread over the seeds. Runners-up and missing "
        "seeds are told under Results."
    )
    return f"{table(header, rows)}\n\n{about}"


def _leader(found: Standing | None) -> tuple[str, str, str]:
    """Name, mean and margin over Random of the best."""
    if found is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    margin = found.over_random
    over = UNKNOWN if margin is None else f"{margin.points:+.2f} {_surely(margin)}"
    return text(found.best.name), number(found.mean), over


def _surely(margin: Margin) -> str:
    if math.isnan(margin.spread):
        return "(one seed)"
    return "(clear)" if margin.points > margin.spread else "(within the spread)"


def judged(margin: Margin) -> str:
    """Whether the spread over seeds lets a margin count."""
    if math.isnan(margin.spread):
        return "which one seed cannot confirm"
    if margin.points > margin.spread:
        return f"more than the spread over the seeds ({number(margin.spread)})"
    return f"within the spread over the seeds ({number(margin.spread)}), so no clear difference"


def _ranking(found: Standing, unit: str) -> str:
    best, following = text(found.best.name), found.over_next
    reached = f"({number(found.mean)} {unit})"
    if following is None:
        return f"{best} is the only method with a result {reached}"
    if found.best.reference:
        said = f"no method beats Random: **{best}** is best {reached}, "
        return said + f"{number(following.points)} above {_margin(following)}"
    said = f"**{best}** is best {reached}"
    over = found.over_random
    if over is None:
        return f"{said}, {number(following.points)} above {_margin(following)}"
    said += f", {number(over.points)} above {_margin(over)}"
    if following.other.key == over.other.key:
        return said
    return f"{said}; it is {number(following.points)} above the runner-up {_margin(following)}"


def _margin(margin: Margin) -> str:
    unknown = math.isnan(margin.spread)  # the caution at the end says it once
    return text(margin.other.name) + ("" if unknown else f", {judged(margin)}")


def _basis(found: Standing, comparison: Comparison) -> str:
    """The seeds a ranking rests on, where they are not all that were planned."""
    planned = {seed for entry in comparison.methods for seed in entry.seeds}
    if found.over_next is None or set(found.seeds) == planned:
        return ""
    named = listed([str(seed) for seed in found.seeds])
    if len(found.seeds) == 1:
        return f" (so far over seed {named} alone, so no claim)"
    return f" (so far over seeds {named})"


def _of_full(comparison: Comparison, found: dict[str, Standing | None]) -> str:
    """How much of the best Full baseline the winner reaches."""
    means = [mean_and_spread(list(e.miou.values()))[0] for e in comparison.full if e.miou]
    best = found["miou"]
    if not means or best is None or not max(means) > 0:
        return ""
    share = 100 * best.mean / max(means)
    return f". The best reaches {number(share, 0)} % of the mIoU of training on all images"


def _caution(found: list[Standing], comparison: Comparison) -> list[str]:
    """What keeps the sentences above from being claims."""
    said = []
    if all(len(s.seeds) == 1 for s in found):
        said.append("This rests on one seed: an order seen once may be chance, so claim nothing.")
    missing = [entry for entry in comparison.methods if not entry.miou]
    if missing:
        said.append(f"No result at this budget yet: {_names(missing)}.")
    return said


def _nothing_yet(comparison: Comparison) -> str:
    if any(entry.miou for entry in comparison.methods):
        return "No seed has been finished by all methods yet, so there is nothing to compare."
    at = percent(comparison.miou_at)
    return f"No method has reached {at} % labelled yet, so there is nothing to compare."


def _names(entries: list[Entry]) -> str:
    return listed([text(entry.name) for entry in entries])


def seeds_phrase(seeds: tuple[int, ...]) -> str:
    """The study's seeds as prose: `3 seeds (0, 1, 2)`."""
    return f"{counted(len(seeds), 'seed')} ({', '.join(str(seed) for seed in seeds)})"
