"""Which masks belong to which images, and how the names of their files differ."""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from alspec.datasets.proposals.survey import ImageGroup, can_be_masks, size_of, values_of

_TRIED = 20
_MOST_ENDINGS = 3
_ENOUGH = 0.8
"""Share of the masks that a way of naming has to explain."""
_STEM = "{stem}"
_NEUTRAL = re.compile(
    r"images?|imgs?|frames?|rgb|photos?|scans?|masks?|labels?|annotations?|annot|gt|seg\w*|truth"
    r"|leftimg8bit|gtfine|[^a-z]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Match:
    """Images with their masks.

    Attributes:
        images: of which some may have no mask.
        masks: of these images.
        labelled: images that have a mask.
        image_name: how image files are named, as the spec has it.
        mask_name: how mask files are.
    """

    images: ImageGroup
    masks: ImageGroup
    labelled: int
    image_name: str = _STEM
    mask_name: str = _STEM

    @property
    def is_whole(self) -> bool:
        """Whether every image has a mask."""
        return self.labelled == len(self.images)


def matches(groups: Sequence[ImageGroup]) -> tuple[list[Match], list[Match]]:
    """Images with their masks, each group in one match at most, and those whose masks are JPEGs."""
    masks = [group for group in groups if can_be_masks(group)]
    jpegs = [group for group in groups if group.is_named_masks and group.is_lossy]
    images = [group for group in groups if not (group.is_named_masks and group in masks + jpegs)]
    found = _best(_pairs(images, masks))
    taken = {id(match.images) for match in found}
    others = [group for group in images if id(group) not in taken]
    return found, _best(_pairs(others, jpegs))


def _pairs(images: Sequence[ImageGroup], masks: Sequence[ImageGroup]) -> Iterator[Match]:
    for mask in masks:
        for image in images:
            if image is mask or (image.overlaps(mask) and image.path != mask.path):
                continue
            if mask in images and not _fewer_values(mask, image):
                continue  # grey images, and grey masks that no name tells apart
            if match := matched(image, mask):
                yield match


def _best(found: Iterator[Match]) -> list[Match]:
    """Matches by how well they fit, each folder of images and of masks once."""
    chosen: list[Match] = []
    for match in sorted(found, key=_order):
        if all(
            match.images is not other.images and match.masks is not other.masks for other in chosen
        ):
            chosen.append(match)
    return chosen


def _order(match: Match) -> tuple[bool, bool, int, bool, int, bool, int, str, str]:
    images, masks = match.images, match.masks
    one, other = (_NEUTRAL.sub("", group.path).lower() for group in (images, masks))
    return (
        size_of(images.first) != size_of(masks.files.get(_twin(match), masks.first)),
        not match.is_whole,
        0 if one == other else 1,
        not masks.is_named_masks,
        -match.labelled,
        "trainids" not in (masks.ending + masks.first.stem).lower(),
        len(images.parts),
        images.path,
        masks.path,
    )


def _twin(match: Match) -> str:
    """The key of the first image's mask, where the names are alike."""
    return next(iter(match.images.files))


def _fewer_values(mask: ImageGroup, image: ImageGroup) -> bool:
    """Of two groups that no name tells apart: whether the one can be the masks of the other."""
    if mask.path == image.path:
        return False
    return not can_be_masks(image) or 0 < values_of(mask.first) < values_of(image.first)


def matched(images: ImageGroup, masks: ImageGroup) -> Match | None:
    """Which images have which masks; None where too few of the masks have an image."""
    of_images, of_masks = images.files.keys(), masks.files.keys()
    same = len(of_images & of_masks)
    if same >= _ENOUGH * len(of_masks):
        if images.path != masks.path:
            return Match(images, masks, same)
        suffixes = (f"{_STEM}{group.first.suffix}" for group in (images, masks))
        return Match(images, masks, same, *suffixes)
    best = (0, "", "")
    for ends in _endings(sorted(of_images), sorted(of_masks)):
        best = max(best, (_explained(of_images, of_masks, ("", ""), ends), *ends))
    count = best[0]
    if count >= _enough(len(of_masks)):
        return Match(images, masks, count, f"{_STEM}{best[1]}", f"{_STEM}{best[2]}")
    before = _shared_beginning(of_images), _shared_beginning(of_masks)
    count = _explained(of_images, of_masks, before, ("", "")) if any(before) else 0
    if count >= _enough(len(of_masks)):
        return Match(images, masks, count, f"{before[0]}{_STEM}", f"{before[1]}{_STEM}")
    return None


def _enough(masks: int) -> float:
    return max(min(2, masks), _ENOUGH * masks)


def _endings(images: Sequence[str], masks: Sequence[str]) -> list[tuple[str, str]]:
    """How images and masks may end beside what they share: what most of a few masks suggest."""
    found: Counter[tuple[str, str]] = Counter()
    known = set(images)
    tried = masks[:: max(1, len(masks) // _TRIED)]
    for name in tried:
        ends: set[tuple[str, str]] = set()
        begins = next((name[:at] for at in range(len(name) - 1, 0, -1) if name[:at] in known), None)
        if begins:
            ends.add(("", name[len(begins) :]))
        at = bisect(images, name)
        for other in images[max(0, at - 1) : at + 1]:
            shared = _shared([name, other]).rstrip("_-. ")
            if shared and not shared.endswith("/"):
                ends.add((other[len(shared) :], name[len(shared) :]))
        found.update(ends)
    return [ends for ends, times in found.most_common(_MOST_ENDINGS) if times >= len(tried) / 2]


def _shared_beginning(names: Collection[str]) -> str:
    """What the files' names begin with, as `image_`, but for digits at its end."""
    begin = _shared([name.rpartition("/")[2] for name in names])
    return begin.rstrip("0123456789") if len(names) > 1 else ""


def _shared(names: Sequence[str]) -> str:
    """What all of them begin with."""
    first, last = min(names), max(names)
    ends = (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(ends, len(first))]


def _explained(
    images: Collection[str], masks: Collection[str], before: Sequence[str], ends: Sequence[str]
) -> int:
    """Masks whose image has the name that beginnings and endings make of it."""
    count = 0
    for name in masks:
        folder, slash, stem = name.rpartition("/")
        if not (stem.startswith(before[1]) and stem.endswith(ends[1])):
            continue
        inner = stem[len(before[1]) : len(stem) - len(ends[1])]
        count += bool(inner) and f"{folder}{slash}{before[0]}{inner}{ends[0]}" in images
    return count
