"""Images and masks that have no partner: how many, the first of them, the likely reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from alspec.datasets.files.contents import ListedFile
from alspec.errors import Problem

Loc = tuple[str | int, ...]
_ENOUGH = 0.5
"""Share of the images without a mask that a naming pattern has to explain."""
_TRIED = 20


def missing_masks(
    images: Mapping[str, ListedFile],
    masks: Mapping[str, ListedFile],
    lossy: Mapping[str, ListedFile],
    mask_path: Callable[[str], str],
    loc: Loc,
) -> Iterator[Problem]:
    """The problem of images without a mask, if there are any.

    Args:
        images: by key.
        masks: by key.
        lossy: files by key that would be masks if they were no JPEGs.
        mask_path: where the mask of a key is expected, below the root.
        loc: where the spec names the masks.
    """
    missing = sorted(images.keys() - masks.keys())
    jpegs = [key for key in missing if key in lossy]
    if jpegs:
        first, count = lossy[jpegs[0]], len(jpegs)
        what = (
            f"{count:,} of {len(images):,} masks are JPEGs, whose compression changes values at "
            "every edge, so that they hold no class ids any more. Export the masks again, as PNG"
        )
        yield Problem(first.path, what, loc=loc)
        missing = [key for key in missing if key not in lossy]
    if not missing:
        return
    orphans = masks.keys() - images.keys()
    if len(missing) == 1:
        begin = "this image has no mask"
    else:
        begin = (
            f"{len(missing):,} of {len(images):,} images have no mask; this is the first, it needs"
        )
    what = f"{begin} `{mask_path(missing[0])}`. {_advice(missing, orphans)}"
    yield Problem(images[missing[0]].path, what, loc=loc)


def missing_images(
    images: Mapping[str, ListedFile],
    masks: Mapping[str, ListedFile],
    image_path: Callable[[str], str],
    loc: Loc,
) -> Iterator[Problem]:
    """The problem of masks without an image, if there are any; as `missing_masks`."""
    orphans = sorted(masks.keys() - images.keys())
    if not orphans or naming(sorted(images.keys() - masks.keys()), set(orphans)):
        return
    if len(orphans) == 1:
        begin = "this mask has no image"
    else:
        begin = (
            f"{len(orphans):,} of {len(masks):,} masks have no image; this is the first, it needs"
        )
    what = f"{begin} `{image_path(orphans[0])}`. Add what is missing, or remove the rest"
    yield Problem(masks[orphans[0]].path, what, loc=loc)


def _advice(missing: Sequence[str], orphans: Collection[str]) -> str:
    if names := naming(missing, orphans):
        keys = [f'`{key}: "{{stem}}{end}"`' for key, end in zip(_NAMES, names, strict=True) if end]
        return f"The names differ in a suffix: say {' and '.join(keys)}"
    if orphans:
        return "Add what is missing, or remove the rest"
    return (
        "A study plays back labels that are there, so it needs all masks: add them, or remove the "
        "images; to label images step by step, write a labelling project (`project:`)"
    )


_NAMES = ("image_name", "mask_name")


def naming(missing: Sequence[str], orphans: Collection[str]) -> tuple[str, str] | None:
    """How names of images and of masks end beside what they share; None where no ends explain it.

    Args:
        missing: keys of images without a mask, sorted.
        orphans: keys of masks without an image.

    >>> naming(["1_image", "2_image"], {"1_mask", "2_mask"})
    ('_image', '_mask')
    """
    near = sorted(orphans)
    for key in missing[:_TRIED]:
        for other in near[:_TRIED]:
            shared = _shared(key, other).rstrip("_-. ")
            ends = key[len(shared) :], other[len(shared) :]
            if not shared or not any(ends):
                continue
            explained = sum(
                each.endswith(ends[0]) and each[: len(each) - len(ends[0])] + ends[1] in orphans
                for each in missing
            )
            if explained >= max(2, _ENOUGH * len(missing)):
                return ends
    return None


def _shared(one: str, other: str) -> str:
    """What two texts begin with."""
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return min(one, other, key=len) if length is None else one[:length]
