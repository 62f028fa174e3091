"""Hand-over for CVAT: the format "CVAT for images 1.1", proposals as masks.

The mask format is not handed over: CVAT would turn every black pixel into a mask named background
(cvat#8995). CVAT falls back to `id` as a frame number where a name does not match, so `id` is the
position in lexicographic order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from alspec.datasets.base import IGNORE, Mask
from alspec.datasets.files.palette import colour_of, hex_of
from alspec.labelling.export.image import HandedImage, HandOver, copy_images, reject_tag
from alspec.labelling.rle import runs
from alspec.system.atomic import json_text, write_text

HOW_TO = """\
# How to label this batch in CVAT

1. Create a task: *Tasks > + > Create a new task*. Under *Labels* choose *Raw* and paste
   `labels.json`. Under *Select files* drop all files of `images/`. *Submit & Open*.
   Or on the command line: `cvat-cli task create "{title}" local images/* --labels labels.json`
2. Bring in the proposals: *Actions > Upload annotations > CVAT 1.1*, the file `annotations.xml`.
   Images without a proposal are check images: draw them from nothing.
3. In the editor's *Settings > Workspace* switch on **Remove underlying pixels**. Without it what
   you draw over a proposal does not reliably win.
4. An image that cannot be labelled gets the tag `{reject}` (*Setup tag*).
5. When done, in whole or in part: *Actions > Export task dataset*, format
   *CVAT for images 1.1* or *Segmentation mask 1.1*, without images. Then
   `alspec ingest {project} EXPORT.zip`
   Only *CVAT for images 1.1* carries the tag `{reject}`.
   Pixels without a class {unlabelled}.
"""


def write(folder: Path, batch: HandOver) -> None:
    """Write `images/`, `annotations.xml`, `labels.json` and HOW-TO.md.

    Args:
        folder: an empty one.
        batch: what is handed over.
    """
    images, classes = batch.images, batch.classes
    copy_images(images, folder / "images")
    write_text(folder / "annotations.xml", annotations_xml(images, classes))
    write_text(folder / "labels.json", json_text(labels(classes)))
    reject = reject_tag(classes)
    title = f"alspec {images[0].name[:3]}" if images else "alspec"
    text = HOW_TO.format(
        title=title, project=batch.project, reject=reject, unlabelled=batch.unlabelled
    )
    write_text(folder / "HOW-TO.md", text)


class Label(TypedDict):
    """A label as CVAT's constructor takes it in its raw form."""

    name: str
    color: str
    type: str
    attributes: list[str]


def labels(classes: Sequence[str]) -> list[Label]:
    """CVAT's label constructor in its raw form, the tag for rejected images included."""
    named: list[Label] = [
        {"name": name, "color": hex_of(colour_of(number)), "type": "any", "attributes": []}
        for number, name in enumerate(classes)
    ]
    reject: Label = {
        "name": reject_tag(classes),
        "color": "#ff00ff",
        "type": "tag",
        "attributes": [],
    }
    return [*named, reject]


def annotations_xml(images: Sequence[HandedImage], classes: Sequence[str]) -> str:
    """The XML of all images, those without a proposal as empty elements."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    lines += _meta(len(images), classes)
    for number, image in enumerate(sorted(images, key=lambda each: each.name)):
        height, width = image.size
        lines.append(
            f'  <image id="{number}" name={quoteattr(image.name)} width="{width}" '
            f'height="{height}">'
        )
        if image.proposal is not None:
            lines += _masks(image.proposal, classes)
        lines.append("  </image>")
    return "\n".join([*lines, "</annotations>", ""])


def _meta(images: int, classes: Sequence[str]) -> Iterator[str]:
    """The task and its labels; CVAT does without, other readers of the format do not."""
    yield f"  <meta><task><size>{images}</size><mode>annotation</mode><labels>"
    for label in labels(classes):
        name, kind = escape(label["name"]), label["type"]
        yield (
            f"    <label><name>{name}</name><color>{label['color']}</color><type>{kind}</type>"
            "<attributes></attributes></label>"
        )
    yield "  </labels></task></meta>"


def _masks(mask_HW: Mask, classes: Sequence[str]) -> Iterator[str]:
    for class_id in np.unique(mask_HW):
        if class_id == IGNORE:
            continue
        own = mask_HW == class_id
        rows, columns = own.any(axis=1).nonzero()[0], own.any(axis=0).nonzero()[0]
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        lengths = ", ".join(map(str, runs(own[top:bottom, left:right])))
        yield (
            f'    <mask label={quoteattr(classes[class_id])} source="file" occluded="0" '
            f'rle="{lengths}" left="{left}" top="{top}" width="{right - left}" '
            f'height="{bottom - top}" z_order="0"></mask>'
        )
