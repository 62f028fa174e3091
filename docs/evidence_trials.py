"""The parts of docs/evidence.md that compare trainings, not methods: first weights, and s4GAN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from alspec.results.intervals import difference

TABLES = Path(__file__).resolve().parent / "evidence"


ARMS = {"ImageNet weights": "evidence-pretrained", "random weights": "evidence-scratch"}
"""Of specs/evidence/pretrained.yaml, with the study of each."""


def collect(work_dir: Path) -> None:
    """Copy the mIoU of the studies of pretrained weights, where both were run."""
    files = {name: work_dir / study / "results.csv" for name, study in ARMS.items()}
    if all(file.is_file() for file in files.values()):
        found = [pd.read_csv(file).assign(weights=name) for name, file in files.items()]
        columns = ["weights", "seed", "miou"]
        pd.concat(found)[columns].to_csv(TABLES / "pretrained.csv", index=False)


def parts() -> Iterator[str]:
    """Title, text and table of each."""
    for title, name, table in (
        ("Pretrained weights", "pretrained", pretrained),
        ("s4GAN", "s4gan", s4gan),
    ):
        text = (TABLES / f"{name}.md").read_text().strip()
        yield from (f"## {title}", text, table(pd.read_csv(TABLES / f"{name}.csv")))


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
        found: `data,epochs,s4gan,seed,miou,accepted,score_real,score_fake`; `s4gan` says what
            differs from the paper, or `none`.
    """
    lines = [
        "| data | epochs | s4GAN | seeds | mIoU | less supervised | accepted | D of labels "
        "| D of predictions |",
        "| :-- | --: | :-- | :-- | :-- | --: | --: | --: | --: |",
    ]
    for (data, epochs), rows in found.groupby(["data", "epochs"], sort=False):
        supervised = _by_seed(rows[rows["s4gan"] == "none"])
        for change, tried in rows.groupby("s4gan", sort=False):
            values = _by_seed(tried)
            seeds = ", ".join(map(str, values))
            line = f"| {data} | {epochs} | {change} | {seeds} | {_listed(values)} "
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
