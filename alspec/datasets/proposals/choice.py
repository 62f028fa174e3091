"""Which folders of a tree are the pool, its masks, and what to measure on; the others by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from alspec.datasets.proposals.matching import Match, matches
from alspec.datasets.proposals.survey import ImageGroup, Survey, outermost
from alspec.errors import DataError, Problem

_OWN_VAL = re.compile(r"(?:^|[_. -])(?:val|dev)", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """What a tree is taken for.

    Attributes:
        images: the pool.
        masks: of the pool; None where no image of it has one.
        val: candidates to measure on, the best first.
        unused: other folders, in words.
    """

    images: ImageGroup
    masks: Match | None
    val: tuple[Match, ...]
    unused: tuple[str, ...]

    @property
    def is_study(self) -> bool:
        """Whether every image has its mask."""
        return self.masks is not None and self.masks.is_whole


def choose(found: Survey) -> Choice | None:
    """Tell pool, masks and val apart; None for a tree without images.

    Raises:
        DataError: what seem to be masks are JPEGs.
    """
    matched, lossy = matches(found.groups)
    _refuse_lossy(matched, lossy)
    whole = [match for match in matched if match.is_whole]
    val = sorted((match for match in whole if match.images.is_val), key=_val_order)
    pools = [
        match
        for match in matched
        if match not in val and not any(match.images.overlaps(one.images) for one in val)
    ]
    pools.sort(key=lambda one: (one.images.is_val, -len(one.images), len(one.images.parts)))
    bare = _without_masks(found.groups, [*pools, *val])
    if pools:
        images: ImageGroup = pools[0].images
    elif bare:
        images = bare[0]
    elif val:  # nothing but folders that are named so: the largest is the pool
        pools, val = [max(val, key=lambda match: len(match.images))], []
        images = pools[0].images
    else:
        return None
    val = [match for match in val if not match.images.overlaps(images)]
    masks = pools[0] if pools else None
    unused = [
        *_unused(images, masks, val, pools, bare),
        *_unused_masks(found.groups, [*pools, *val]),
    ]
    return Choice(images, masks, tuple(val), tuple(unused))


def _val_order(match: Match) -> tuple[bool, int, int, str]:
    """Folders named val or dev before test, the innermost where one lies in another."""
    images = match.images
    own = any(_OWN_VAL.search(part) for part in images.parts)
    return not own, -len(images.parts), -len(images), images.path


def _refuse_lossy(matched: Sequence[Match], lossy: Sequence[Match]) -> None:
    apart = [
        match for match in lossy if not any(match.images.overlaps(one.images) for one in matched)
    ]
    if apart:
        what = (
            "these seem to be the masks of {} ({:,} of {:,} images), but they are JPEGs, whose "
            "compression changes values at every edge, so that they hold no class ids any more. "
            "Export the masks again, as PNG; or move this folder away to begin without masks"
        )
        raise DataError(
            [
                Problem(
                    str(match.masks.first.parent),
                    what.format(match.images.path, match.labelled, len(match.images)),
                )
                for match in outermost_matches(apart)
            ]
        )


def outermost_matches(found: Sequence[Match]) -> list[Match]:
    """Matches whose images lie in no other's."""
    images = outermost(match.images for match in found)
    return [match for match in found if match.images in images]


def _without_masks(groups: Sequence[ImageGroup], matched: Sequence[Match]) -> list[ImageGroup]:
    """Folders of images no file of which has a mask; those named val or test last."""
    used = [group for match in matched for group in (match.images, match.masks)]
    free = [
        group
        for group in groups
        if not group.is_named_masks
        and group.path != "."
        and not any(group.overlaps(one) for one in used)
    ]
    return sorted(outermost(free), key=lambda group: (group.is_val, -len(group), group.path))


def _unused(
    images: ImageGroup,
    masks: Match | None,
    val: Sequence[Match],
    pools: Sequence[Match],
    bare: Sequence[ImageGroup],
) -> Iterator[str]:
    used = [images, *(match.images for match in val[:1])]
    others = [match for match in (*pools, *val) if match is not masks]
    for match in outermost_matches(others):
        if not any(match.images.overlaps(one) for one in used):
            yield (
                f"{match.labelled:,} images with masks in {match.images.path} and "
                f"{match.masks.path} are not used"
            )
    for group in bare:
        if not any(group.overlaps(one) for one in used):
            yield (
                f"{len(group):,} images without masks in {group.path} are not used; "
                f"to label some of them, move them into {images.path}"
            )


def _unused_masks(groups: Sequence[ImageGroup], matched: Sequence[Match]) -> Iterator[str]:
    """Folders named as masks that belong to no images, or to images with other masks."""
    used = [group for match in matched for group in (match.images, match.masks)]
    for group in outermost(group for group in groups if group.is_named_masks and not group.ending):
        if not any(group.overlaps(one) for one in used):
            yield f"{len(group):,} files in {group.path}, named as masks, are not used"


def masks_folder(choice: Choice) -> str | None:
    """Where masks of the pool are to come, named as those of val are; None where nothing says it.

    >>> from alspec.datasets.proposals.survey import ImageGroup as G
    >>> val = Match(G("images/val", {}), G("masks/val", {}), 0)
    >>> masks_folder(Choice(G("images/train", {}), None, (val,), ()))
    'masks/train'
    """
    if not choice.val:
        return None
    own, of_val = choice.images.parts, choice.val[0].images.parts
    changed = {b: a for a, b in zip(own, of_val, strict=False) if a != b}
    masks = choice.val[0].masks.parts
    renamed = [changed.get(part, part) for part in masks]
    if len(own) != len(of_val) or renamed == list(masks):
        return None
    return PurePosixPath(*renamed).as_posix()
