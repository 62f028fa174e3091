"""What a comparison lets one say, in sentences that somebody can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from alspec.report.document import Block, Paragraph, code, strong, table, text
from alspec.report.phrases import UNKNOWN, counted, listed, number, percent, signed, span
from alspec.results.doubts import Doubts, doubts
from alspec.results.intervals import LEAST_SEEDS, MARGIN, Difference, Outcome
from alspec.results.label_savings import labels_saved
from alspec.results.standings import Comparison, Entry, Margin, Standing, over_random, standing
from alspec.results.stats import mean_and_spread

_MEASURES = {"miou": "mIoU", "auc": "AUC"}

MOST_NAMED = 3
"""Methods and classes that a sentence names; of more it says how many."""


MOST_SEEDS = 30
"""Seeds that anybody runs; of more a sentence gives no count."""


def verdict(comparison: Comparison) -> str:
    """What to do in a setting, by mIoU at the headline budget and by the whole curve."""
    return " ".join(sentences_of(comparison))


def sentences_of(comparison: Comparison) -> list[str]:
    """The verdict's sentences; the first says what to do."""
    doubt = doubts(comparison)
    if doubt.allow_no_order:
        return [_no_order(doubt, comparison), *_doubtful(doubt)]
    found = {m: standing(comparison.methods, m, comparison.margin(m)) for m in _MEASURES}
    miou, auc = found["miou"], found["auc"] if comparison.auc_at is not None else None
    at = f"With {percent(comparison.miou_at)} % of the images labelled"
    sentences = []
    if miou and comparison.at_initial_set:
        sentences.append(f"{at}, all methods still share the initial set: nothing to compare.")
    elif miou:
        sentences.append(f"{at}, {_ranking(miou, 'mIoU')}{_basis(miou, comparison)}.")
        sentences += _of_full(comparison, miou)
        sentences += _saved(comparison, miou)
    if auc:
        by = f"Over the whole budget (AUC@{percent(comparison.auc_at or 0)})"
        sentences.append(f"{by}, {_ranking(auc, 'AUC')}{_basis(auc, comparison)}.")
    if not sentences:
        return [_nothing_yet(comparison)]
    opening = "" if comparison.at_initial_set or miou is None else _advice(comparison, miou, auc)
    missing = [entry for entry in comparison.methods if not entry.miou]
    if missing and len(comparison.methods) > 1:
        sentences.append(f"No result at this budget yet: {_names(missing)}.")
    return [*filter(None, [opening]), *sentences, *_doubtful(doubt)]


def _no_order(doubt: Doubts, comparison: Comparison) -> str:
    """Why methods are not ranked."""
    if doubt.nothing_counts:
        return "No pixel of the validation masks counts, so nothing is measured."
    if doubt.one_class:
        return (
            f"Every model predicts one class only ({listed([text(n) for n in doubt.one_class])}), "
            f"so this says nothing yet: train longer, or check {code('training.lr')} and the masks."
        )
    mean = mean_and_spread(list(doubt.tied[0].miou.values()))[0]
    return (
        f"With {percent(comparison.miou_at)} % of the images labelled, {_names(doubt.tied)} are "
        f"level ({number(mean)} mIoU), so none is best."
    )


def _doubtful(doubt: Doubts) -> list[str]:
    """What makes numbers doubtful that are there."""
    sentences = []
    if doubt.fewer and not doubt.one_class:
        sentences.append(_never_predicted(doubt))
    if doubt.above_full and not doubt.one_class:
        sentences.append(
            f"Training on all images is below {_names(doubt.above_full)}, so trainings have not "
            "converged or seeds are too few: claim nothing."
        )
    return sentences


def _never_predicted(doubt: Doubts) -> str:
    if len(doubt.fewer) <= MOST_NAMED and all(len(n) <= MOST_NAMED for _, n in doubt.fewer):
        fewer = [
            f"{text(entry.name)} never predicts {listed([text(name) for name in names])}"
            for entry, names in doubt.fewer
        ]
        return f"Of the classes in the validation set, {'; '.join(fewer)}: claim nothing."
    own = [len(names) for entry, names in doubt.fewer if entry.family != "full"]
    counts = own or [len(names) for _, names in doubt.fewer]
    several = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    never = "never predicts" if len(counts) == 1 else "never predict"
    of = "of the classes in the validation set: claim nothing."
    return f"{counted(len(counts), 'method')} {never} {several} {of}"


def _advice(comparison: Comparison, miou: Standing, auc: Standing | None) -> str:
    """The first words: what to do, or what would let one know."""
    best = text(miou.best.name)
    margin = miou.over_random or miou.over_next
    if margin is None:
        return ""
    if not margin.difference.together.known:
        return f"{strong('No decision.')} {_too_few(miou)}"
    if miou.best.reference:
        return _random_first(miou)
    other = text(margin.other.name)
    outcome = margin.difference.outcome
    if outcome is Outcome.WIN:
        rest = miou.over_next
        alone = rest is not None and rest.difference.outcome is Outcome.WIN
        return strong(f"Use {best}." if alone else f"{best} beats {other}.")
    if outcome is Outcome.TIE:
        return strong(f"{best} and {other} are equally good.")
    if auc and auc.over_random and auc.over_random.difference.outcome is Outcome.WIN:
        winner = auc.over_random
        return strong(f"{text(auc.best.name)} beats {text(winner.other.name)} by AUC.")
    return f"{strong(_undecided(comparison, best))}{_would_decide(margin.difference)}"


def _undecided(comparison: Comparison, best: str) -> str:
    """What is sure all the same, where the highest mean is not."""
    found = over_random(comparison)
    if not found:
        return "Undecided."
    names = {entry.key: text(entry.name) for entry in comparison.methods}
    winners = [names[key] for key, each in found.items() if each.outcome is Outcome.WIN]
    if not winners:
        losers = [text(entry.name) for entry in _losers_to_random(comparison)]
        if not losers:
            return "Undecided: no method beats random for sure."
        others = len(losers) - MOST_NAMED
        named = losers if others <= 0 else [*losers[:MOST_NAMED], f"{others} more"]
        worse = "is" if len(losers) == 1 else "are"
        return f"Avoid {listed(named)}, which {worse} worse than random; none beats it for sure."
    beat = "beats" if len(winners) == 1 else "beat"
    return f"{listed(winners)} {beat} random; {best}, the highest, not for sure."


def _losers_to_random(comparison: Comparison) -> list[Entry]:
    """The methods that lose to Random for sure, the worst first."""
    found = over_random(comparison)
    lost = [
        e for e in comparison.methods if e.key in found and found[e.key].outcome is Outcome.LOSS
    ]
    return sorted(lost, key=lambda entry: found[entry.key].points)


def _random_first(found: Standing) -> str:
    margin = found.over_next
    if margin is None:
        return ""
    if margin.difference.outcome is Outcome.WIN:
        return strong("Stay with random.")
    if margin.difference.outcome is Outcome.TIE:
        return strong(f"{text(margin.other.name)} is no better than random.")
    return f"{strong('No method beats random here.')}{_would_decide(margin.difference)}"


def _too_few(found: Standing) -> str:
    run = f"run at least {LEAST_SEEDS}"
    if len(found.seeds) == 1:
        return f"One seed shows an order that may be chance; {run}."
    return f"{counted(len(found.seeds), 'seed')} give no interval; {run}."


def _would_decide(found: Difference) -> str:
    """How many seeds would decide it; empty where it is unknown."""
    if found.seeds_to_decide is None:
        return " No number of seeds in reach would decide it." if found.together.known else ""
    if found.seeds_to_decide > MOST_SEEDS:
        return f" More than {MOST_SEEDS} seeds would be needed to decide it."
    more = found.seeds_to_decide - found.together.seeds
    return f" About {found.seeds_to_decide} seeds ({more} more) would decide it."


def leaders_table(compared: Sequence[tuple[str, Comparison]]) -> list[Block]:
    """Who leads each of many settings, a row a setting.

    Args:
        compared: comparisons with their titles.
    """
    rows = []
    for title, comparison in compared:
        decided = not comparison.at_initial_set and not doubts(comparison).allow_no_order
        miou = standing(comparison.methods, "miou", MARGIN) if decided else None
        auc = None
        if comparison.auc_at is not None:
            auc = standing(comparison.methods, "auc", comparison.margin("auc"))
        rows.append((title, percent(comparison.miou_at), *_leader(miou), *_leader(auc)))
    header = ("Setting", "B", "Highest mIoU@B", "mIoU", "over Random", "Highest AUC", "AUC",
              "over Random")  # fmt: skip
    tally = _tally([c for _, c in compared])
    about = (
        "B: percent labelled. Where it says undecided, the highest mean may be chance: choose no "
        "method by it."
    )
    shown = table(header, rows, caption="Leader of each setting")
    return [*([Paragraph(tally)] if tally else []), shown, Paragraph(about)]


def _tally(compared: Sequence[Comparison]) -> str:
    """How often each method wins or loses against Random, most wins first; one sentence each."""
    counts: dict[str, Counter[Outcome]] = {}
    for comparison in compared:
        if comparison.at_initial_set or doubts(comparison).allow_no_order:
            continue
        names = {entry.key: entry.name for entry in comparison.methods}
        for key, found in over_random(comparison).items():
            counts.setdefault(names[key], Counter())[found.outcome] += 1
    decided = {name: c for name, c in counts.items() if c[Outcome.WIN] or c[Outcome.LOSS]}
    if not counts:
        return ""
    if not decided:
        return strong("No method beats Random for sure in any setting.")
    ordered = sorted(decided.items(), key=lambda item: (-item[1][Outcome.WIN], item[0]))
    parts = [f"{strong(text(name))} {_record(c)}" for name, c in ordered[:MOST_NAMED]]
    return f"Against Random: {'; '.join(parts)}."


def _record(count: Counter[Outcome]) -> str:
    """How often a method wins and loses, and in how many settings."""
    of = f"of {counted(sum(count.values()), 'setting')}"
    wins, losses = count[Outcome.WIN], count[Outcome.LOSS]
    if not losses:
        return f"wins in {wins} {of}"
    return f"wins in {wins} and loses in {losses} {of}" if wins else f"loses in {losses} {of}"


def _leader(found: Standing | None) -> tuple[str, str, str]:
    """Name, mean and margin over Random of the highest."""
    if found is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    over = found.over_random
    shown = UNKNOWN if over is None else f"{signed(over.points)} ({_short(over.difference)})"
    return text(found.best.name), number(found.mean), shown


def _short(found: Difference) -> str:
    if not found.together.known:
        return counted(found.together.seeds, "seed")
    return found.outcome.value


def judged(found: Difference) -> str:
    """What the seeds say to a difference, as the end of a sentence."""
    if found.together.seeds == 1:
        return "which one seed cannot confirm"
    if not found.together.known:
        return f"which {counted(found.together.seeds, 'seed')} cannot confirm"
    interval = f"95 % interval {span(found.together, sign=True)}"
    if found.outcome is Outcome.UNDECIDED:
        return f"undecided ({interval})"
    return f"a {found.outcome.value} ({interval})"


def _ranking(found: Standing, unit: str) -> str:
    best, following = text(found.best.name), found.over_next
    reached = f"({number(found.mean)} {unit})"
    if following is None:
        return f"{best} is the only method with a result {reached}"
    if found.best.reference:
        return f"{strong('random')} is highest {reached}, {_above(following, found)}"
    sentence = f"{strong(best)} is highest {reached}"
    over = found.over_random
    if over is None:
        return f"{sentence}, {_above(following, found)}"
    sentence += f", {_above(over, found)}"
    if following.other.key == over.other.key:
        return sentence
    return f"{sentence}; it is {_above(following, found, 'the runner-up ')}"


def _above(margin: Margin, found: Standing, title: str = "") -> str:
    few = len(found.seeds) == 1  # stated once, in the opening
    end = "" if few else f", {judged(margin.difference)}"
    return f"{number(margin.points)} above {title}{text(margin.other.name)}{end}"


def _basis(found: Standing, comparison: Comparison) -> str:
    """The seeds a ranking rests on, where they are not all that were planned."""
    planned = {seed for entry in comparison.methods for seed in entry.seeds}
    if found.over_next is None or set(found.seeds) == planned:
        return ""
    named = listed([str(seed) for seed in found.seeds])
    if len(found.seeds) == 1:
        return f" (so far over seed {named} alone)"
    return f" (so far over seeds {named})"


def _of_full(comparison: Comparison, found: Standing) -> list[str]:
    """How much of the best Full baseline the leader reaches."""
    means = [mean_and_spread(list(e.miou.values()))[0] for e in comparison.full if e.miou]
    if not means or not max(means) > 0:
        return []
    share = 100 * found.mean / max(means)
    best = strong(text(found.best.name))
    return [f"{best} reaches {number(share, 0)} % of the mIoU of training on all images."]


def _saved(comparison: Comparison, found: Standing) -> list[str]:
    """The labels that a leader saves which wins over Random, where its interval is above 0."""
    over = found.over_random
    if over is None or over.difference.outcome is not Outcome.WIN:
        return []
    shares = [each.share for each in labels_saved(comparison) if each.entry.key == found.best.key]
    return [
        f"It needs {number(share.mean, 0)} % fewer labels than {text(over.other.name)} for the "
        f"same final mIoU (95 % interval {span(share, 0)} %)."
        for share in shares
        if share.known and share.low > 0
    ]


def _nothing_yet(comparison: Comparison) -> str:
    if any(entry.miou for entry in comparison.methods):
        return "No seed has been finished by all methods yet, so there is nothing to compare."
    at = percent(comparison.miou_at)
    return f"No method has reached {at} % labelled yet, so there is nothing to compare."


def _names(entries: Sequence[Entry]) -> str:
    return listed([text(entry.name) for entry in entries])
