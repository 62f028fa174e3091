"""The report's account of time and devices, and of how to have its numbers again."""

from __future__ import annotations

import math
from collections.abc import Mapping

from alspec.report.album import Album
from alspec.report.document import Block, Heading, Paragraph, code, table, text
from alspec.report.figures.bars import draw_seconds
from alspec.report.phrases import UNKNOWN, number
from alspec.results.table import Results


def time_section(results: Results, album: Album) -> list[Block]:
    """Hours of training by device; equal trainings are counted once, as they were run once."""
    trained = results.sets.drop_duplicates("train_key")
    trained = trained[trained["train_seconds"].notna()]
    if trained.empty:
        return []
    rows = []
    for device, group in trained.groupby("device", sort=False):
        seconds = group["train_seconds"].astype(float)
        rows.append(
            (
                text(device) or UNKNOWN,
                str(len(group)),
                number(seconds.sum() / 3600),
                number(seconds.mean() / 60),
            )
        )
    header = ("Device", "Distinct trainings", "Hours of training", "Minutes a training")
    shown = table(header, rows, caption="Time of training")
    return [Heading("Time"), shown, *_acquisition(results), _figure(results, album)]


def _acquisition(results: Results) -> list[Block]:
    """Seconds of one acquisition by method; the draw of the initial set is nobody's own."""
    own = results.sets[(results.sets["cycle"] > 0) & results.sets["acquire_seconds"].notna()]
    means = own.groupby("method", sort=False)["acquire_seconds"].mean()
    if means.empty:
        return []
    listed = ", ".join(f"{text(method)} {number(seconds, 1)}" for method, seconds in means.items())
    return [Paragraph(f"Seconds of one acquisition, on average: {listed}.")]


def _figure(results: Results, album: Album) -> Block:
    """Mean seconds of a training and of an acquisition, by method and device."""
    rows: dict[str, dict[str, float]] = {}
    columns = ["method", "ssl", "mc_dropout", "device"]
    for (method, ssl, dropout, device), group in results.sets.groupby(columns, sort=False):
        name = text(method) + ("-SSL" if ssl else "") + (" (dropout)" if dropout else "")
        own = group[group["cycle"] > 0]
        seconds = {"a training": group["train_seconds"], "an acquisition": own["acquire_seconds"]}
        means = {kind: float(values.mean()) for kind, values in seconds.items()}
        rows[f"{name}, {text(device)}"] = {k: v for k, v in means.items() if not math.isnan(v)}
    return album.figure(
        "time",
        "Time of a training and an acquisition by method and device",
        "Mean seconds of a step; equal trainings of several methods are counted for each.",
        lambda: draw_seconds("seconds", rows),
    )


def repeat_section(
    command: str, version: str, versions: Mapping[str, tuple[str, ...]]
) -> list[Block]:
    """How to have these numbers again, and what they were made with."""
    blocks: list[Block] = [
        Heading("To repeat this"),
        Paragraph(f"With alspec {text(version)}: {code(command)}"),
        Paragraph(
            f"{code('spec.yaml')} holds every choice of this study with its value. Beside this "
            f"report are {code('results.csv')} (a row a labelled set), {code('runs.csv')} (a row a "
            f"run), {code('classes.csv')} (a row a class), {code('training.csv')} (a row an epoch "
            f"of a training), {code('selections/')} (the images each run chose, in order, with "
            f"their scores) and {code('figures/')} (every figure as SVG and PNG)."
        ),
    ]
    if versions:
        rows = [(text(name), text(", ".join(several))) for name, several in versions.items()]
        blocks.append(table(("Trained with", "Version"), rows, left=2, caption="Versions"))
    return blocks
