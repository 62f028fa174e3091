"""The report's account of the study itself: what it was run with, what is missing, what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from alspec.datasets.leakage import NEAR_COPY
from alspec.plan.dag import Plan, Run
from alspec.plan.step import StepKey
from alspec.report.document import Block, Heading, Paragraph, code, items, strong, table, text
from alspec.report.phrases import UNKNOWN, counted, number, percent
from alspec.results.leaks import SplitLeak
from alspec.results.pools import PoolFacts
from alspec.results.standings import Comparison
from alspec.results.table import Results
from alspec.spec.model import DatasetSpec, ModelConfig, Study

_LONGEST = 100
"""Characters of a dataset's own field that are shown."""

SHOWN = 0.005
"""Share of validation images with a near-copy in the pool from which it is reported."""

FLAGGED = 0.05
"""From which it is emphasised."""


def settings_section(
    plan: Plan,
    comparisons: tuple[Comparison, ...],
    pools: Mapping[StepKey, PoolFacts],
    leaks: Mapping[str, SplitLeak],
) -> list[Block]:
    """Pools, budgets, validation images that the pools have too, model and training."""
    header = ("Setting", "Pool", "Images", "Sequences", "Distinct views", "Redundancy", "Labelled")
    budgets = {id(c.setting): c.budget_percent for c in comparisons}
    rows, notes = [], []
    for setting in plan.settings:
        facts = pools.get(setting.pool_step)
        steps = ", ".join(f"{count:,}" for count in setting.labelled_images)
        shares = budgets.get(id(setting), ())
        span = f" ({percent(shares[0])} to {percent(shares[-1])} %)" if len(shares) > 1 else ""
        rows.append(
            (
                f"{text(setting.dataset)}, {text(setting.budget)}",
                text(setting.pool),
                f"{setting.pool_images:,}",
                *_redundancy(facts),
                steps + span,
            )
        )
        for note in facts.notes if facts else ():
            notes.append(f"{text(setting.dataset)}: {text(note)}")
    notes += [note for name, leak in leaks.items() for note in _leak_notes(name, leak)]
    blocks: list[Block] = [Heading("Settings"), table(header, rows, left=2, caption="Pools")]
    if notes:
        blocks.append(items(*dict.fromkeys(notes)))
    choices = list(_choices(plan.study))
    return [*blocks, table(("What", "Value"), choices, left=2, caption="Choices of the study")]


def _leak_notes(name: str, leak: SplitLeak) -> Iterator[str]:
    """What of a validation set its pool has too, with how much mIoU means then."""
    of = f"of {text(name)}'s {counted(leak.images, 'validation image')}"
    if leak.copies:
        yield f"{strong(f'{leak.copies:,} {of}')} are byte for byte the same as one of the pool."
    if leak.near is not None and leak.near >= SHOWN:
        share = f"{100 * leak.near:.0f} % {of}"
        shown = strong(share) if leak.near >= FLAGGED else share
        yield (
            f"{shown} have a near-copy in the pool (thumbnails that correlate by {NEAR_COPY:g} or "
            "more): mIoU says little of scenes that the pool does not show."
        )


def _redundancy(facts: PoolFacts | None) -> tuple[str, str, str]:
    if facts is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    views, share = facts.distinct_views, facts.views_per_image
    return (
        f"{facts.sequences:,}",
        UNKNOWN if views is None or share is None else f"{views:,} ({number(share)} an image)",
        text(facts.redundancy or UNKNOWN),
    )


def _choices(study: Study) -> Iterator[tuple[str, str]]:
    model = study.model
    name = PurePath(model.config).name if isinstance(model, ModelConfig) else model
    weights = PurePath(study.pretrained).name if study.pretrained else "none named"
    yield "Model", text(name)
    yield "Pretrained weights", text(weights)
    yield "Training", _fields(study.training.model_dump(mode="json"))
    if (devices := study.execution.devices_a_training) > 1:
        yield "Devices of a training", f"{devices}, with the batch and its statistics shared"
    if any(study.ssl):
        yield "s4GAN (SSL)", _fields(study.s4gan.model_dump(mode="json"))
    yield "Seeds", ", ".join(str(seed) for seed in study.seeds)
    for method in study.methods:
        own: dict[str, object] = {"name": method.name} if method.name != method.label else {}
        own |= {"candidates": f"every {method.candidates.every}"} if method.candidates else {}
        yield f"Method {text(method.label)}", _fields(own | method.params) or "defaults"
    for dataset in study.datasets:
        yield f"Dataset {text(dataset.name)}", _dataset(dataset)


def _dataset(dataset: DatasetSpec) -> str:
    size = dataset.image_size
    pixels = f"{size[0]} x {size[1]} (height x width)" if size else "their own size"
    apart = {"name", "kind", "root", "image_size", "budgets", "follow_links"}
    apart |= dataset.later_defaults()
    own = dataset.model_dump(mode="json", exclude=apart)
    return f"{text(dataset.kind)}, images of {pixels}; {_fields(own)}"


def _fields(values: Mapping[str, object]) -> str:
    return "; ".join(f"{text(key)} {_value(value)}" for key, value in values.items())


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping) and "kind" in value:
        rest = ", ".join(f"{text(k)} {_value(v)}" for k, v in value.items() if k != "kind")
        return text(value["kind"]) + (f" ({rest})" if rest else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{text(k)} {_value(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        plain = ", ".join(map(str, value)) or "none"
    else:
        plain = _without_folders(value) if isinstance(value, str) else json.dumps(value)
    return text(plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…")


def _without_folders(value: str) -> str:
    """An absolute path says more of the machine than of the study: its last part stays."""
    return PurePath(value).name if value.startswith(("/", "~")) else value


def unfinished_section(plan: Plan, results: Results, command: str) -> list[Block]:
    """How many labelled sets are missing, and whose; empty for a finished study."""
    missing = missing_sets(plan, results)
    if not missing:
        return []
    planned: dict[tuple[str, ...], int] = {}
    lacking: dict[tuple[str, ...], int] = {}
    for run in plan.runs:
        group = _group(run)
        planned[group] = planned.get(group, 0) + len(run.sets)
        absent = sum((run.name, labelled.cycle) in missing for labelled in run.sets)
        lacking[group] = lacking.get(group, 0) + absent
    rows = [(*group, f"{n} of {planned[group]}") for group, n in lacking.items() if n]
    return [
        Heading("What is missing"),
        Paragraph(f"{_missing_phrase(plan, results)} {code(command)} makes the rest."),
        table(("Setting", "Method", "Labelled sets missing"), rows, left=2),
    ]


def _group(run: Run) -> tuple[str, str]:
    arm = " (MC-dropout)" if run.mc_dropout else ""
    method = run.method + ("-SSL" if run.ssl else "")
    return f"{text(run.dataset)}, {text(run.budget)}", text(method) + arm


def missing_sets(plan: Plan, results: Results) -> set[tuple[str, int]]:
    """The labelled sets that are not there, as name of the run and cycle."""
    columns = ["dataset", "budget", "method", "ssl", "mc_dropout", "seed", "cycle"]
    done = set(results.sets[columns].itertuples(index=False, name=None))
    return {
        (run.name, labelled.cycle)
        for run in plan.runs
        for labelled in run.sets
        if (*(getattr(run, column) for column in columns[:-1]), labelled.cycle) not in done
    }


def _missing_phrase(plan: Plan, results: Results) -> str:
    absent, planned = len(missing_sets(plan, results)), plan.trainings_unshared
    return f"{absent} of {counted(planned, 'labelled set')} are not there yet."


def progress_sentence(plan: Plan, results: Results) -> str:
    """How much of the study is missing, in one sentence; empty for a finished one."""
    if not missing_sets(plan, results):
        return ""
    sentence = strong(_missing_phrase(plan, results))
    return sentence if results.sets.empty else f"{sentence} All that follows is about the others."
