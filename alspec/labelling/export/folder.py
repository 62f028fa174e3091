"""Hand-over as plain folders: images, proposed masks and a table of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec.datasets.files.palette import BLACK, class_rows, png_of
from alspec.labelling.export.image import HandedImage, HandOver, copy_images
from alspec.system.atomic import write_bytes, write_csv, write_text

HOW_TO = """\
# How to label these images

1. Draw a mask for each image of `images/`, as a PNG of the same size and name (`{example}`).
   Its pixels are the ids of `classes.csv` (8-bit grey or palette), or the colours listed there;
   {nothing} is for pixels without a class.
   Pixels without a class {unlabelled}.
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
    images, classes = batch.images, batch.classes
    copy_images(images, folder / "images")
    (folder / "proposed").mkdir()
    for image in images:
        if image.proposal is not None:
            proposal = png_of(image.proposal, len(classes), batch.colours)
            write_bytes(folder / "proposed" / mask_name(image), proposal)
    rows = class_rows(classes, batch.colours)
    write_csv(folder / "classes.csv", ("id", "name", "colour"), rows)
    text = HOW_TO.format(
        example=mask_name(images[0]) if images else "name.png",
        project=batch.project,
        nothing="255" if BLACK in batch.colours else "255 or black",
        unlabelled=batch.unlabelled,
        start=_start(images),
    )
    write_text(folder / "HOW-TO.md", text)


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
