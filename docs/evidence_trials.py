"""The parts of docs/evidence.md beside the studies: projects, first weights, and s4GAN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import yaml

from alspec.results.intervals import difference
from alspec.results.s4gan_signals import COLUMNS
from alspec.spec.model import S4GAN as S4GANLosses

TABLES = Path(__file__).resolve().parent / "evidence"


S4GAN = ["data", "labelled", "epochs", "s4gan", "seed", "miou", *COLUMNS]
"""Of s4gan.csv: a training each; what of s4GAN differs from the paper, or `none`."""

ARMS = {"ImageNet weights": "evidence-pretrained", "random weights": "evidence-scratch"}
"""Of specs/evidence/pretrained.yaml, with the study of each."""


def collect(work_dir: Path) -> None:
    """Copy the mIoU of the studies of pretrained weights, where both were run."""
    files = {name: work_dir / study / "results.csv" for name, study in ARMS.items()}
    if all(file.is_file() for file in files.values()):
        found = [pd.read_csv(file).assign(weights=name) for name, file in files.items()]
        columns = ["weights", "seed", "miou"]
        pd.concat(found)[columns].to_csv(TABLES / "pretrained.csv", index=False)
    tried = [_trial(file.parent) for file in sorted(work_dir.glob("evidence-s4gan*/results.csv"))]
    if tried:
        before = pd.read_csv(TABLES / "s4gan.csv")
        rows = pd.concat([before, *tried]).drop_duplicates(S4GAN[:5], keep="last")
        order = ["data", "labelled", "epochs", "s4gan", "seed"]
        rows = rows.sort_values(order, key=lambda column: column.replace("none", ""))
        rows.to_csv(TABLES / "s4gan.csv", index=False)


def _trial(study: Path) -> pd.DataFrame:
    """Rows of s4gan.csv from the tables of one study with one labelled set a seed."""
    spec = yaml.safe_load((study / "spec.yaml").read_text())
    usual = S4GANLosses().model_dump()
    changes = {key: value for key, value in spec["s4gan"].items() if value != usual[key]}
    named = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in changes.items())
    rows = pd.read_csv(study / "results.csv")
    rows["s4gan"] = rows["ssl"].map({0: "none", 1: named or "as in the paper"})
    rows["data"], rows["epochs"] = rows["dataset"], spec["training"]["epochs"]
    rows["labelled"] = rows["labelled_images"]
    if (signals := study / "s4gan.csv").is_file():
        keyed = pd.read_csv(signals)[["train_key", *COLUMNS]]
        rows = rows.merge(keyed, on="train_key", how="left")
    return rows.reindex(columns=S4GAN)


def collect_projects(lines: Path) -> None:
    """Write projects.csv from the lines of simulated labelling projects, one tool for each."""
    rows = []
    for line in map(json.loads, lines.read_text().splitlines()):
        if line["tool"] != "folder":  # other tools ask for the same images
            continue
        where = (line["data"], line["asked_for"], line["seed"])
        rows += [(*where, *point) for point in zip(line["labelled"], line["miou"], strict=True)]
    columns = ["data", "method", "seed", "labelled", "miou"]
    pd.DataFrame(rows, columns=columns).to_csv(TABLES / "projects.csv", index=False)


def parts() -> Iterator[str]:
    """Title, text and table of each."""
    for title, name, table in (
        ("Labelling projects", "projects", projects),
        ("Pretrained weights", "pretrained", pretrained),
        ("s4GAN", "s4gan", s4gan),
    ):
        text = (TABLES / f"{name}.md").read_text().strip()
        yield from (f"## {title}", text, table(pd.read_csv(TABLES / f"{name}.csv")))


def projects(found: pd.DataFrame) -> str:
    """Table of mean mIoU by labelled images, as advised and at random, and the last difference.

    Args:
        found: `data,method,seed,labelled,miou`; methods `auto` and `random`.
    """
    sizes = sorted(found["labelled"].unique())
    lines = [
        f"| data | chosen | {' | '.join(map(str, sizes))} | advised less random at {sizes[-1]} |",
        "| :-- | :-- |" + " --: |" * (len(sizes) + 1),
    ]
    for data, rows in found.groupby("data", sort=False):
        last = rows[rows["labelled"] == sizes[-1]]
        auto, random = (_by_seed(last[last["method"] == name]) for name in ("auto", "random"))
        apart = difference(auto, random)
        ends = f"{apart.points:+.2f} ({apart.together.low:+.2f} to {apart.together.high:+.2f})"
        for method, chosen, end in (("auto", "as advised", ends), ("random", "at random", "")):
            means = rows[rows["method"] == method].groupby("labelled")["miou"].mean()
            cells = " | ".join(f"{means[size]:.1f}" for size in sizes)
            lines.append(f"| {data} | {chosen} | {cells} | {end} |")
    return "\n".join(lines)


def pretrained(found: pd.DataFrame) -> str:
    """Table of mIoU of both arms by seed, and their difference.

    Args:
        found: `weights,seed,miou`, two arms.
    """
    lines = ["| backbone starts from | mIoU by seed | mean |", "| :-- | :-- | --: |"]
    arms = {str(name): _by_seed(rows) for name, rows in found.groupby("weights", sort=False)}
    for name, values in arms.items():
        lines.append(f"| {name} | {_listed(values)} | {_mean(values):.2f} |")
    apart = difference(*arms.values())
    ends = f" ({apart.together.low:+.2f} to {apart.together.high:+.2f})"
    mean = f"{apart.points:+.2f}{ends if apart.together.known else ''}"
    lines.append(f"| difference | {_listed(apart.by_seed)} | {mean} |")
    return "\n".join(lines)


def s4gan(found: pd.DataFrame) -> str:
    """Table of mIoU by seed beside that of the same training without s4GAN, and what s4GAN did.

    Args:
        found: columns `S4GAN`.
    """
    lines = [
        "| data | labelled | epochs | s4GAN | seeds | mIoU | less supervised | accepted "
        "| D of labels | D of predictions |",
        "| :-- | --: | --: | :-- | :-- | :-- | --: | --: | --: | --: |",
    ]
    for same, rows in found.groupby(["data", "labelled", "epochs"], sort=False):
        supervised = _by_seed(rows[rows["s4gan"] == "none"])
        for change, tried in rows.groupby("s4gan", sort=False):
            values = _by_seed(tried)
            seeds = ", ".join(map(str, values))
            where = " | ".join(map(str, same))
            line = f"| {where} | {change} | {seeds} | {_listed(values)} "
            if change == "none":
                lines.append(line + "| | | | |")
                continue
            means = tried.mean(numeric_only=True)
            less = _mean({seed: miou - supervised[seed] for seed, miou in values.items()})
            lines.append(
                f"{line}| {less:+.1f} | {100 * means['accepted']:.1f} % "
                f"| {means['score_real']:.3f} | {means['score_fake']:.3f} |"
            )
    return "\n".join(lines)


def _by_seed(rows: pd.DataFrame) -> dict[int, float]:
    return dict(zip(rows["seed"], rows["miou"], strict=True))


def _mean(values: Mapping[int, float]) -> float:
    return sum(values.values()) / len(values)


def _listed(values: Mapping[int, float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values.values())
