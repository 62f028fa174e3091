"""How trainings went: their losses by epoch, and what s4GAN accepted."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.report.album import Album
from alspec.report.document import Block, Heading, Paragraph, text
from alspec.report.figures.training_curves import draw_training
from alspec.report.findings import Findings
from alspec.results.epochs import EpochTable

COLUMNS: Mapping[str, str] = {
    "loss": "loss of the segmentor",
    "decode.acc_seg": "pixels right in training (%)",
    "loss_discriminator": "loss of the discriminator",
    "accepted": "share of unlabelled images accepted",
}
"""What is shown of epochs.csv, with its title."""


def training_section(findings: Findings, album: Album) -> list[Block]:
    """A figure a dataset; empty where no training has its curves."""
    arms: dict[str, dict[str, dict[str, EpochTable]]] = {}
    columns = ["dataset", "ssl", "mc_dropout", "train_key"]
    for dataset, ssl, dropout, key in findings.results.sets[columns].itertuples(
        index=False, name=None
    ):
        curves = findings.epochs.get(key)
        if curves and any(curves.get(column) for column in COLUMNS):
            arm = ("with SSL" if ssl else "without SSL") + (", dropout" if dropout else "")
            arms.setdefault(dataset, {}).setdefault(arm, {})[key] = curves
    if not arms:
        return []
    blocks: list[Block] = [
        Heading("Training"),
        Paragraph("Every distinct training a thin line, their median a thick one."),
    ]
    for dataset, by_arm in arms.items():
        tables = {arm: list(by_key.values()) for arm, by_key in by_arm.items()}
        blocks.append(
            album.figure(
                f"{dataset}_training",
                f"Training curves: {text(dataset)}",
                "",
                lambda tables=tables: draw_training(tables, COLUMNS),  # type: ignore[misc]
            )
        )
    return blocks
