"""Writes docs/evidence.md and its picture from the result tables below docs/evidence/.

    python docs/evidence_page.py [WORK_DIR | LOOPS.jsonl] ...

With a work directory, the tables of its evidence studies are copied here first; with the lines that
tests/factories/real_projects.py writes, what became of labelling projects. The page comes from the
copies alone, so that anybody can write it again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import evidence_trials
import pandas as pd
import yaml

import alspec
from alspec import studies
from alspec.recommend.advise import Known, advice_for
from alspec.report.figures.style import GRID, drawn, look
from alspec.results.intervals import Difference, Outcome, difference, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parent
TABLES = DOCS / "evidence"
STUDIES = ("dhcn", "vocalfolds", "camvid", "dsb2018")
"""In the order of the page: redundant first."""

LOW = "-low"
"""Ends the name of a study of few labels alone, whose trainings have more epochs."""

BUDGETS = {"10-10": ("high", 30.0), "2-2": ("low", 6.0)}
"""A budget's level in the guide, and the labelled percent at which mIoU is compared."""

METHODS = ("random", "uniform", "entropy", "equal", "coreset", "herding")
"""In the order of their colours."""

SEEDS = 3
"""Of every study; a labelled set that fewer have finished is left out."""

ARM = ("budget", "method")
"""Columns that tell one arm of an evidence study from another."""

LEAST = 0.01
"""Points of mIoU by which any methods differ that learnt anything."""

ANSWER = {Outcome.WIN: "yes", Outcome.LOSS: "no", Outcome.TIE: "a tie"}


@dataclass(frozen=True)
class Setting:
    """A study's runs under one budget.

    Attributes:
        study: name of the data set.
        budget: as in the spec.
        rows: of results.csv.
        areas: of runs.csv.
        level: measured redundancy, low or high.
    """

    study: str
    budget: str
    rows: pd.DataFrame
    areas: pd.DataFrame
    level: str

    @property
    def families(self) -> dict[str, str]:
        """A method's family: random, single or batch."""
        family = dict(zip(self.rows["method"], self.rows["family"], strict=True))
        return {method: family[method] for method in METHODS if method in family}

    def miou(self, method: str) -> dict[int, float]:
        """By seed, mIoU in percent where methods are compared."""
        at = BUDGETS[self.budget][1]
        shares = self.rows["labelled_percent"].unique()
        nearest = min(shares, key=lambda share: abs(share - at))
        here = self.rows[
            (self.rows["method"] == method) & (self.rows["labelled_percent"] == nearest)
        ]
        return dict(zip(here["seed"], here["miou"], strict=True))

    def auc(self, method: str) -> dict[int, float]:
        """AUC@B by seed."""
        here = self.areas[self.areas["method"] == method]
        return dict(zip(here["seed"], here["auc"], strict=True))

    @property
    def is_level(self) -> bool:
        """Whether all methods have one and the same mIoU: as a rule that of a single class."""
        means = [t_interval(list(self.miou(name).values())).mean for name in self.families]
        return max(means) - min(means) < LEAST

    def best(self, methods: Sequence[str]) -> str:
        """The method with the highest mean mIoU where methods are compared."""
        return max(methods, key=lambda name: t_interval(list(self.miou(name).values())).mean)


def collect(work_dir: Path) -> None:
    """Copy the tables of evidence studies, and measure their redundancy.

    What another store has finished of the same study stays: its methods may be run one by one.
    """
    for name in [part for study in STUDIES for part in (study, study + LOW)]:
        folder = work_dir / f"evidence-{name}"
        if not (folder / "results.csv").is_file():
            continue
        target = TABLES / name
        target.mkdir(parents=True, exist_ok=True)
        trained = _trained(folder)
        same = (target / "trained.json").is_file() and trained == _read(target / "trained.json")
        for table in ("results.csv", "runs.csv"):
            shown = _with_rows_of(target / table if same else None, folder / table)
            (target / table).write_text(shown)
        _write(target / "trained.json", trained)
        if name.endswith(LOW):
            continue
        done = studies.results(folder)
        pools = (answer.measured for answer in advice_for(done.plan, Known()))
        found = next(pool.to_json() for pool in pools if pool)
        _write(target / "measured.json", found)


def _trained(folder: Path) -> dict[str, object]:
    """What decides how a study's segmentors are trained, from its resolved spec."""
    spec = yaml.safe_load((folder / "spec.yaml").read_text())
    size = {dataset["name"]: dataset["image_size"] for dataset in spec["datasets"]}
    return {"image_size": size, "model": spec["model"], "training": spec["training"]}


def _with_rows_of(before: Path | None, table: Path) -> str:
    """A table's text, with the rows before of arms that it has not."""
    header, *rows = table.read_text().splitlines()
    if before and before.is_file():
        first, *others = before.read_text().splitlines()
        at = [header.split(",").index(name) for name in ARM]
        arms = {tuple(row.split(",")[n] for n in at) for row in rows}
        kept = [row for row in others if tuple(row.split(",")[n] for n in at) not in arms]
        rows = kept + rows if first == header else rows
    return "\n".join([header, *rows]) + "\n"


def _read(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


def _write(path: Path, what: object) -> None:
    path.write_text(json.dumps(what, indent=1) + "\n")


def settings() -> Iterator[Setting]:
    """Every study and budget that has results."""
    for name in STUDIES:
        for budget in BUDGETS:
            low = TABLES / (name + LOW)
            folder = low if budget == "2-2" and low.is_dir() else TABLES / name
            if not (folder / "results.csv").is_file():
                continue
            rows, areas = (pd.read_csv(folder / file) for file in ("results.csv", "runs.csv"))
            rows, areas = rows[rows["budget"] == budget], areas[areas["budget"] == budget]
            seeds = rows.groupby(["method", "cycle"])["seed"].transform("nunique")
            rows = rows[seeds == SEEDS]
            if len(rows):
                yield Setting(name, budget, rows, areas, str(measured(name)["level"]))


def measured(name: str) -> dict[str, object]:
    """The meter's reading of a data set's pool."""
    return _read(TABLES / name / "measured.json")


@dataclass(frozen=True)
class Verdict:
    """The guide against the other families in one setting.

    Attributes:
        setting: data set and budget.
        advised: best method of the family that the guide advises.
        other: best method of the other families.
        apart: mIoU of the first less that of the second, paired by seed.
    """

    setting: Setting
    family: str
    advised: str
    other: str
    apart: Difference

    @property
    def answer(self) -> str:
        """Does the guide hold."""
        if self.setting.is_level:
            return "no model learnt"
        return ANSWER.get(self.apart.outcome, "undecided")


def verdict(setting: Setting) -> Verdict:
    """What the guide advises for a setting, and whether its results agree."""
    level = BUDGETS[setting.budget][0]
    (advice,) = alspec.recommend(redundancy=setting.level, budget=level, ssl=False)
    families = setting.families
    inside = [name for name, family in families.items() if family == advice.family]
    outside = [name for name in families if name not in inside]
    best, rival = setting.best(inside), setting.best(outside)
    apart = difference(setting.miou(best), setting.miou(rival), comparisons=len(outside))
    return Verdict(setting, advice.family, best, rival, apart)


def page() -> str:
    """The text of docs/evidence.md."""
    found = list(settings())
    parts = [_text("introduction"), _overview(found)]
    parts += ["![Budget curves](images/evidence.svg)", _text("reading")]
    for name in dict.fromkeys(setting.study for setting in found):
        parts += [
            f"## {name}",
            _text(f"{name}/about"),
            _means(found, name),
        ]
    parts += evidence_trials.parts()
    return "\n\n".join(parts) + "\n"


def _text(name: str) -> str:
    return (TABLES / f"{name}.md").read_text().strip()


def _overview(found: Sequence[Setting]) -> str:
    lines = [
        "| data | views an image | redundancy | budget | guide "
        "| best method | over Random | difference | holds | Single less Coreset |",
        "| :-- | --: | :-- | :-- | :-- | :-- | --: | :-- | :-- | :-- |",
    ]
    for setting in found:
        judged = verdict(setting)
        best = setting.best(list(setting.families))
        winner = "all level" if setting.is_level else best
        random = difference(setting.miou(best), setting.miou("random"))
        views = float(str(measured(setting.study)["views_per_image"]))
        lines.append(
            f"| {setting.study} | {views:.2f} | {setting.level} | {setting.budget} "
            f"| {judged.family.capitalize()} | {winner} | {random.points:+.2f} "
            f"| {judged.advised} - {judged.other}: {_interval(judged.apart)} | {judged.answer} "
            f"| {_single_less_coreset(setting)} |"
        )
    return "\n".join(lines)


def _single_less_coreset(setting: Setting) -> str:
    """The best single method less the paper's batch method, as in its Figure 1 the other way."""
    single = setting.best([name for name, kind in setting.families.items() if kind == "single"])
    return _interval(difference(setting.miou(single), setting.miou("coreset")))


def _interval(apart: Difference) -> str:
    return f"{apart.points:+.2f} ({apart.together.low:+.2f} to {apart.together.high:+.2f})"


def _means(found: Sequence[Setting], name: str) -> str:
    here = [setting for setting in found if setting.study == name]
    titles = [f"{s.budget}: mIoU at {BUDGETS[s.budget][1]:g} %" for s in here]
    areas = [f"{s.budget}: AUC" for s in here]
    lines = [
        "| method | "
        + " | ".join(title for pair in zip(titles, areas, strict=True) for title in pair)
        + " |",
        "| :-- |" + " --: |" * (2 * len(here)),
    ]
    for method in here[0].families:
        cells = [_mean(values) for s in here for values in (s.miou(method), s.auc(method))]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: dict[int, float]) -> str:
    series = pd.Series(list(values.values()), dtype=float).dropna()
    if len(series) < SEEDS:
        return "–"
    return f"{series.mean():.2f} ± {series.std(ddof=1):.2f}"


def picture() -> bytes:
    """The budget curves of every setting, mean and seeds, as SVG."""
    found = list(settings())
    rows = (len(found) + 1) // 2

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, 2, squeeze=False)
        for axes in grid.flat[len(found) :]:
            axes.remove()
        panels = list(grid.flat[: len(found)])
        for axes, setting in zip(panels, found, strict=True):
            _panel(axes, setting)
        most = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[1]))
        handles, labels = most.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))

    return drawn(0.4 + 2.4 * rows, paint, width=8.4).svg


def _panel(axes: Axes, setting: Setting) -> None:
    views = float(str(measured(setting.study)["views_per_image"]))
    for method in setting.families:
        rows = setting.rows[setting.rows["method"] == method]
        mean = rows.groupby("labelled_images")["miou"].mean()
        style = look(METHODS.index(method), ssl=False)
        axes.plot(mean.index, mean.to_numpy(), label=method, markersize=3.5, **style)
        axes.plot(
            rows["labelled_images"],
            rows["miou"],
            ".",
            color=style["color"],
            markersize=2,
            alpha=0.6,
        )
    axes.set_title(f"{setting.study} {setting.budget}: {views:.2f} views an image, {setting.level}")
    methods = setting.rows[setting.rows["family"] != "full"]
    axes.set_xticks(sorted(methods["labelled_images"].unique()))
    axes.set_xlabel("labelled images")
    axes.set_ylabel("mIoU (%)")
    axes.grid(axis="y", color=GRID, linewidth=0.6)


def main(arguments: Sequence[str]) -> None:
    """Write the page and its picture."""
    for source in map(Path, arguments):
        if source.is_dir():
            collect(source)
            evidence_trials.collect(source)
        else:
            evidence_trials.collect_projects(source)
    (DOCS / "evidence.md").write_text(page())
    (DOCS / "images" / "evidence.svg").write_bytes(picture())


if __name__ == "__main__":
    main(sys.argv[1:])
