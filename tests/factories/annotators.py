"""Pretended annotators: true masks as the files that each tool exports, written the slow way."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

from alspec.datasets.base import IGNORE


def colours(count):
    """Some colours for classes, none black."""
    return [(10 + 7 * n, 200 - 5 * n, (40 * n) % 256) for n in range(count)]


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def folder_of_masks(place, masks, classes, rejected=()):
    """Grey PNGs of class ids under the images' names."""
    place.mkdir(parents=True)
    for name, mask in masks.items():
        (place / f"{name}.png").write_bytes(png(mask))
    if rejected:
        (place / "rejected.txt").write_text("".join(f"{name}\n" for name in rejected))
    return place


def cvat_masks(place, masks, classes, rejected=(), untouched=()):
    """CVAT's "Segmentation mask 1.1"; rejected frames were deleted, so they are not listed."""
    table = colours(len(classes))
    painted = np.zeros((256, 3), np.uint8)
    painted[: len(classes)] = table
    lines = ["# label:color_rgb:parts:actions"]
    lines += [] if "background" in classes else ["background:0,0,0::"]
    lines += [f"{name}:{r},{g},{b}::" for name, (r, g, b) in zip(classes, table, strict=True)]
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labelmap.txt", "\n".join(lines) + "\n")
        listed = sorted([*masks, *untouched])
        archive.writestr("ImageSets/Segmentation/default.txt", "".join(f"{n}\n" for n in listed))
        for name, mask in masks.items():
            archive.writestr(f"SegmentationClass/{name}.png", png(painted[mask]))
            archive.writestr(f"SegmentationObject/{name}.png", png(painted[mask]))
    return place


def slow_runs(mask):
    lengths, current = [0], False
    for value in mask.ravel().tolist():
        if value != current:
            lengths.append(0)
            current = value
        lengths[-1] += 1
    return lengths


def cvat_xml(place, masks, classes, rejected=(), untouched=()):
    """CVAT's "CVAT for images 1.1", one full-size mask a class."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations><version>1.1</version>"]
    for number, name in enumerate(sorted([*masks, *rejected, *untouched])):
        mask = masks.get(name, np.zeros((1, 1), np.uint8))
        height, width = mask.shape
        if name not in masks:
            height, width = next(iter(masks.values())).shape
        lines.append(
            f'<image id="{number}" name={quoteattr(name + ".jpg")} width="{width}" '
            f'height="{height}">'
        )
        if name in rejected:
            lines.append('<tag label="reject" source="manual"></tag>')
        for class_id in np.unique(mask) if name in masks else ():
            if class_id != IGNORE:
                rle = ", ".join(map(str, slow_runs(mask == class_id)))
                lines.append(
                    f'<mask label={quoteattr(classes[class_id])} source="manual" occluded="0" '
                    f'rle="{rle}" left="0" top="0" width="{width}" height="{height}" '
                    'z_order="0"></mask>'
                )
        lines.append("</image>")
    lines.append("</annotations>")
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", "\n".join(lines))
    return place


def slow_pack(mask):
    """Label Studio's packing of a mask, a run at a time."""
    text = f"{mask.size * 4:032b}" + f"{7:05b}"
    text += "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    value = 0
    for length in slow_runs(mask):
        left = length * 4
        while left > 0:
            part = min(left, 1 << 16)
            index, bits = next((i, b) for i, b in enumerate((3, 4, 8, 16)) if part <= 1 << b)
            text += f"1{index:02b}{part - 1:0{bits}b}{value:08b}"
            left -= part
        value = 255 - value
    text += "0" * (8 - len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def labelstudio(place, masks, classes, rejected=(), untouched=(), ids=None, annotator=7):
    """Label Studio's JSON export: one submitted annotation a task; skipped ones are cancelled."""
    tasks = []
    for number, name in enumerate(sorted([*masks, *rejected, *untouched]), start=1):
        data = {"image": f"/data/local-files/?d=images/{name}.jpg", "alspec_name": f"{name}.jpg"}
        if ids:
            data["alspec_id"] = ids[name]
        results = []
        if name in masks:
            mask = masks[name]
            for class_id in np.unique(mask):
                if class_id == IGNORE:
                    continue
                value = {
                    "format": "rle",
                    "rle": slow_pack(mask == class_id),
                    "brushlabels": [classes[class_id]],
                }
                results.append(
                    {
                        "id": f"r{class_id}",
                        "type": "brushlabels",
                        "from_name": "mask",
                        "to_name": "image",
                        "original_width": mask.shape[1],
                        "original_height": mask.shape[0],
                        "value": value,
                    }
                )
        if name in rejected:
            results.append({"id": "v", "type": "choices", "value": {"choices": ["reject"]}})
        annotation = {
            "id": number,
            "completed_by": annotator,
            "was_cancelled": name in untouched,
            "lead_time": 30.5,
            "updated_at": "2026-01-02T03:04:05Z",
            "result": results,
        }
        tasks.append({"id": number, "data": data, "annotations": [annotation], "predictions": []})
    place.write_text(json.dumps(tasks))
    return place


def truths_of(batch_csv, read_truth):
    """Flat name without extension to the true mask, for every row of a batch."""
    with batch_csv.open(newline="") as file:
        return {
            row["file"].rpartition(".")[0]: read_truth(row["id"]) for row in csv.DictReader(file)
        }
