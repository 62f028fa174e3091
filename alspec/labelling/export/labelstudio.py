"""Hand-over for Label Studio: a labelling config, and tasks with the proposals as predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from alspec.datasets.base import IGNORE, Mask
from alspec.datasets.files.palette import colour_of, hex_of
from alspec.labelling.export.image import HandedImage, HandOver, copy_images, reject_tag
from alspec.labelling.rle import pack
from alspec.system.atomic import json_text, write_text

FROM_NAME, TO_NAME, CHOICES = "mask", "image", "verdict"

HOW_TO = """\
# How to label this batch in Label Studio

1. Start Label Studio so that it serves files of this folder:
   `LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true \\
   LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root} label-studio start`
2. Create a project. *Settings > Labeling Interface > Code*: paste `config.xml`.
3. *Settings > Cloud Storage > Add Source Storage > Local files*: the path `{root}/images`.
   Save it, and do **not** press *Sync*. Without this storage every image is answered with 404.
4. *Import* the file `tasks.json`, alone. Proposals come with it as predictions.
   Images without a proposal are check images: draw them from nothing.
5. An image that cannot be labelled gets the choice `{reject}`. *Skip* leaves an image open.
6. When done, in whole or in part: *Export > JSON* (never PNG: it loses the names). Then
   `alspec ingest {project} EXPORT.json`
   Pixels without a class {unlabelled}. Where brushes overlap, the later one wins.
"""


def write(folder: Path, batch: HandOver) -> None:
    """Write `images/`, `config.xml`, `tasks.json` and HOW-TO.md.

    Args:
        folder: an empty one.
        batch: what is handed over.
    """
    images, classes = batch.images, batch.classes
    copy_images(images, folder / "images")
    write_text(folder / "config.xml", config(classes))
    write_text(folder / "tasks.json", json_text([task(image, classes) for image in images]))
    text = HOW_TO.format(
        root=batch.home,
        project=batch.project,
        reject=reject_tag(classes),
        unlabelled=batch.unlabelled,
    )
    write_text(folder / "HOW-TO.md", text)


def config(classes: Sequence[str]) -> str:
    """The labelling interface: a brush for each class, and the choice that rejects an image."""
    labels = "\n".join(
        f'    <Label value={quoteattr(name)} background="{hex_of(colour_of(number))}"/>'
        for number, name in enumerate(classes)
    )
    return (
        "<View>\n"
        f'  <Image name="{TO_NAME}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">\n{labels}\n  </BrushLabels>\n'
        f'  <Choices name="{CHOICES}" toName="{TO_NAME}" choice="multiple">\n'
        f"    <Choice value={quoteattr(reject_tag(classes))}/>\n"
        "  </Choices>\n</View>\n"
    )


def task(image: HandedImage, classes: Sequence[str]) -> dict[str, object]:
    """One task: where Label Studio finds the image, the project's id, and the proposal."""
    data = {
        "image": f"/data/local-files/?d=images/{quote(image.name)}",
        "alspec_id": image.id,
        "alspec_name": image.name,
    }
    if image.proposal is None:
        return {"data": data}
    results = regions(image.proposal, classes)
    return {"data": data, "predictions": [{"model_version": "alspec", "result": results}]}


def regions(mask_HW: Mask, classes: Sequence[str]) -> list[dict[str, object]]:
    """A brush region for each class of a mask."""
    height, width = mask_HW.shape
    return [
        {
            "id": f"alspec-{class_id}",
            "type": "brushlabels",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": pack(mask_HW == class_id),
                "brushlabels": [classes[class_id]],
            },
        }
        for class_id in np.unique(mask_HW)
        if class_id != IGNORE
    ]
