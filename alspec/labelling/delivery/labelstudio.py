"""A delivery as Label Studio's JSON export."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from alspec.labelling.delivery.base import (
    Awaited,
    Delivered,
    Delivery,
    Expectation,
    Region,
    painted,
    stem_of,
)
from alspec.labelling.delivery.cvat_xml import polygon_mask
from alspec.labelling.delivery.source import Source, any_holding, ending
from alspec.labelling.export.image import reject_tag
from alspec.labelling.rle import unpack

_MISSHAPEN = (AttributeError, KeyError, TypeError, IndexError, OverflowError)
"""What reading foreign JSON of another shape than expected raises."""


def is_one(source: Source, expected: Expectation) -> bool:
    """Whether a file looks like an export of Label Studio; others may lie beside it."""
    return any_holding(source, ".json", _is_export)


def _is_export(data: bytes) -> bool:
    return data.removeprefix(BOM_UTF8).lstrip()[:1] == b"[" and b'"annotations"' in data


def read(source: Source, expected: Expectation) -> Delivery:
    """Every annotation that a person submitted, one after another; skipped tasks say nothing."""
    delivery = Delivery()
    for file in ending(source.files, ".json"):
        try:
            tasks = json.loads(source.files[file]())
            if not isinstance(tasks, list):
                raise ValueError("it is no list of tasks; export `JSON`")
        except (ValueError, RecursionError) as err:
            source.refuse(file, f"it cannot be read as an export of Label Studio: {err}")
            continue
        for number, task in enumerate(tasks, start=1):
            delivery.images += _of_task(f"{file}: task {number}", task, source, expected)
    return delivery


def _of_task(where: str, task: Any, source: Source, expected: Expectation) -> Iterator[Delivered]:
    try:
        data = task["data"]
        name = data.get("alspec_name") or data["image"].rpartition("/")[2]
        where = f"{where} ({str(name)[:80]})"
        image = expected.image(str(name))
        if data.get("alspec_id", image.id) != image.id:
            raise ValueError("its `alspec_id` is another image's")
        annotations = task["annotations"]
    except ValueError as err:
        source.refuse(where, str(err))
        return
    except _MISSHAPEN:
        source.refuse(where, "it is no task with `data` and `annotations`; export `JSON`")
        return
    for annotation in annotations if isinstance(annotations, list) else ():
        try:
            delivered = _delivered(stem_of(str(name)), annotation, image, expected)
        except ValueError as err:
            source.refuse(where, str(err))
        except _MISSHAPEN as err:
            source.refuse(where, f"an annotation is not as Label Studio writes it ({err!r})")
        else:
            if delivered is not None:
                yield delivered


def _delivered(
    name: str, annotation: Mapping[str, Any], image: Awaited, expected: Expectation
) -> Delivered | None:
    """An annotation; None for one that was skipped or is empty."""
    if annotation.get("was_cancelled"):
        return None
    delivered = partial(
        Delivered,
        name,
        annotator=_annotator(annotation.get("completed_by")),
        when=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        seconds=_seconds(annotation.get("lead_time")),
        submitted=True,
    )
    results = annotation["result"]
    choices = [choice for own in results for choice in own["value"].get("choices", ())]
    if reject_tag(expected.classes) in choices:
        return delivered(rejected=True)
    regions = [_region(own, image.size, expected) for own in results if own["type"] != "choices"]
    if not regions:
        return None
    mask, contested = painted(regions, image.size, expected.unlabelled)
    return delivered(mask=mask, contested=contested)


def _region(own: Mapping[str, Any], size: tuple[int, int], expected: Expectation) -> Region:
    value = own["value"]
    found = own.get("original_height"), own.get("original_width")
    if found != size:
        raise ValueError(
            f"a region is of an image of {found[1]}x{found[0]}, not {size[1]}x{size[0]}"
        )
    kind = own["type"]
    if kind == "brushlabels" and value.get("format", "rle") == "rle":
        return Region(_class_id(value["brushlabels"], expected), unpack(value["rle"], *size))
    if kind == "polygonlabels":
        points = [(x * size[1] / 100, y * size[0] / 100) for x, y in value["points"]]
        return Region(_class_id(value["polygonlabels"], expected), polygon_mask(points, size))
    raise ValueError(f"it has a region of type `{kind}`; label with brushes or polygons")


def _class_id(labels: object, expected: Expectation) -> int:
    if not isinstance(labels, list) or len(labels) != 1:
        raise ValueError("a region has no label, or several")
    return expected.class_id(str(labels[0]))


def _annotator(completed_by: object) -> str:
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or completed_by.get("id") or "")
    return "" if completed_by is None else str(completed_by)


def _seconds(lead_time: object) -> float | None:
    if not isinstance(lead_time, (int, float)) or isinstance(lead_time, bool):
        return None
    return float(lead_time) if 0 <= lead_time < 1e7 else None
