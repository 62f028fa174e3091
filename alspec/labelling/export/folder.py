"""Hand-over as plain folders: images, proposed masks and a table of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec.datasets.files.palette import class_rows, png_of
from alspec.labelling.export.image import HandedImage, HandOver, copy_images
from alspec.system.atomic import write_bytes, write_csv, write_text

HOW_TO = """\
# How to label these images

1. Draw a mask for each image of `images/`, as a PNG of the same size and name (`{example}`).
   Its pixels are the {codes} of `classes.csv` (8-bit grey or palette), or the colours listed there;
   {nothing}.
2. {start}
3. Give back the folder of masks, or a zip of it:
   `alspec ingest {project} MASKS_FOLDER`
   An image that cannot be labelled: a line with its name in `rejected.txt` beside the masks.
"""


def write(folder: Path, batch: HandOver) -> None:
    """Write `images/`, `proposed/`, `classes.csv` and HOW-TO.md.

    Args:
        folder: an empty one.
        batch: what is handed over.
    """
    images, classes, codes = batch.images, batch.classes, batch.codes
    copy_images(images, folder / "images")
    (folder / "proposed").mkdir()
    for image in images:
        if image.proposal is not None:
            proposal = png_of(image.proposal, len(classes), codes.values, codes.colours)
            write_bytes(folder / "proposed" / mask_name(image), proposal)
    rows = class_rows(classes, codes.colours)
    if codes.values:
        valued = [(*row, value) for row, value in zip(rows, codes.values, strict=True)]
        write_csv(folder / "classes.csv", ("id", "name", "colour", "value"), valued)
    else:
        write_csv(folder / "classes.csv", ("id", "name", "colour"), rows)
    text = HOW_TO.format(
        example=mask_name(images[0]) if images else "name.png",
        project=batch.project,
        codes="values (not the ids)" if codes.values else "ids",
        nothing=_nothing(batch),
        start=_start(images),
    )
    write_text(folder / "HOW-TO.md", text)


def _nothing(batch: HandOver) -> str:
    """Which pixels count for nothing, or for the class of what nobody labelled."""
    codes = " and ".join(batch.codes.nothing)
    if not codes:
        return "every pixel needs a class"
    coloured = "" if batch.codes.colours else " (black where it is coloured)"
    return f"{codes}{coloured}: {batch.unlabelled}"


def _start(images: Sequence[HandedImage]) -> str:
    """Where to start from."""
    proposed = sum(image.proposal is not None for image in images)
    if not proposed:
        return "Draw each from nothing: there are no proposals."
    text = "Start from `proposed/`: it is what the model thinks. Copy a mask and correct it."
    if proposed < len(images):
        text += (
            f"\n   {len(images) - proposed} images have none, so that they measure the model: draw "
            "them from nothing."
        )
    return text


def mask_name(image: HandedImage) -> str:
    """The file name of an image's mask."""
    return image.name.rpartition(".")[0] + ".png"
