"""What happens to pixels before a network sees them: mean, standard deviation, order of bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alspec.datasets.base import IGNORE
from alspec.models.nets.config_data import ConfigData

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of images of 0 to 255, RGB."""

PREPROCESSING: Mapping[str, object] = {
    "mean": IMAGENET_MEAN,
    "std": IMAGENET_STD,
    "bgr_to_rgb": False,
    "pad_val": 0,
    "seg_pad_val": IGNORE,
    "size_divisor": 1,
}

_PREPROCESSOR = frozenset(
    {"type", "mean", "std", "bgr_to_rgb", "rgb_to_bgr", "size", "size_divisor", "pad_val",
     "seg_pad_val", "batch_augments", "test_cfg", "_scope_", "non_blocking"}
)  # fmt: skip


def preprocessor_faults(given: ConfigData | None) -> Iterator[str]:
    """What of a config's `data_preprocessor` alspec does not do, a sentence each."""
    given = given or {}
    kind = str(given.get("type", "SegDataPreProcessor")).rpartition(".")[2]
    unknown = sorted(given.keys() - _PREPROCESSOR)
    if kind != "SegDataPreProcessor" or unknown:
        what = f"has {', '.join(unknown)}" if unknown else f"is a {kind}"
        yield f"its `data_preprocessor` {what}, which alspec does not follow; it normalises alone"
        return
    if given.get("batch_augments"):
        yield "its `data_preprocessor` has `batch_augments`, which alspec does not follow"
    for name in ("mean", "std"):
        values = given.get(name)
        if values is not None and not (_is_numbers(values) and len(values) == 3):
            count = len(values) if isinstance(values, Sequence) else values
            yield f"its `data_preprocessor` has {name} of {count} bands; images have three, RGB"
    if (given.get("mean") is None) != (given.get("std") is None):
        yield "its `data_preprocessor` needs both `mean` and `std`, or neither"


def _is_numbers(values: object) -> bool:
    return isinstance(values, (list, tuple)) and all(isinstance(v, (int, float)) for v in values)


def divisor_of(model: ConfigData) -> int:
    """What sides of images must be multiples of, for the padding that a config asks for to be none.

    Args:
        model: of `adapted`.
    """
    given = model["data_preprocessor"]
    asked = (given.get("size_divisor"), (given.get("test_cfg") or {}).get("size_divisor"))
    return max(int(number or 1) for number in asked)


def for_rgb(given: ConfigData | None) -> ConfigData:
    """A config's normalisation, of images that come as RGB; MMSegmentation's own come as BGR.

    Without a `data_preprocessor` it is that of ImageNet. Padding is left out: batches have one
    size.
    """
    if given is None:
        return {"type": "SegDataPreProcessor", **PREPROCESSING}
    mean = given.get("mean")
    return {
        "type": "SegDataPreProcessor",
        **PREPROCESSING,
        "mean": (0.0, 0.0, 0.0) if mean is None else tuple(mean),
        "std": (1.0, 1.0, 1.0) if mean is None else tuple(given["std"]),
        "rgb_to_bgr": not (given.get("bgr_to_rgb") or given.get("rgb_to_bgr")),
        **{key: given[key] for key in ("size_divisor", "test_cfg") if given.get(key)},
    }
