"""Validation on training data: files of val that the pool has, as links, copies, near-copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.files.contents import ListedFile
from alspec.datasets.pools.near_copies import THRESHOLDS, correlated
from alspec.datasets.pools.redundancy import FEWEST
from alspec.errors import Problem

NEAR_COPY = THRESHOLDS[1]
"""Correlation of thumbnails from which two images count as near-copies, as in the meter."""

SAMPLED = 2000
"""Validation images that are compared with the pool, at most."""

FEW = 0.05
"""Share of byte-identical copies up to which they are reported and no error."""

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class SplitImages:
    """The images of one half.

    Attributes:
        files: image files as listed.
        digests: SHA-256 of each.
        thumbnails: (N, h, w, 3) RGB.
    """

    files: Sequence[ListedFile]
    digests: Sequence[bytes]
    thumbnails: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Leakage:
    """What of a validation set is in the pool as well.

    Attributes:
        images: in the validation set.
        links: files that are files of the pool, by another path.
        copies: files that hold the same bytes as one of the pool, and are not it.
        contents: different contents among the copies.
        near: share of the validation images with a near-copy in the pool; NaN below 20 images.
    """

    images: int
    links: tuple[ListedFile, ...]
    copies: tuple[ListedFile, ...]
    contents: int
    near: float


def leakage(pool: SplitImages, val: SplitImages) -> Leakage:
    """Compare a validation set with a pool by file, by content and by sight."""
    inodes = {identity for file in pool.files if (identity := _inode(file))}
    known = set(pool.digests)
    links = tuple(file for file in val.files if _inode(file) in inodes)
    linked = {file.path for file in links}
    copied = {
        file.path: digest
        for file, digest in zip(val.files, val.digests, strict=True)
        if digest in known and file.path not in linked
    }
    return Leakage(
        images=len(val.files),
        links=links,
        copies=tuple(file for file in val.files if file.path in copied),
        contents=len(set(copied.values())),
        near=near_copy_share(pool.thumbnails, val.thumbnails),
    )


def near_copy_share(pool: NDArray[np.uint8], val: NDArray[np.uint8]) -> float:
    """The share of validation images with a near-copy in the pool, in [0, 1].

    Of more than `SAMPLED` validation images evenly spaced ones are compared. NaN below 20 images in
    all, whose mean image is too uncertain.

    Args:
        pool: thumbnails, (N, h, w, 3) RGB.
        val: thumbnails, (M, h, w, 3) RGB.
    """
    if len(pool) + len(val) < FEWEST or not len(val):
        return float("nan")
    step = -(-len(val) // SAMPLED)
    some = val[::step]
    own = correlated(np.concatenate([pool, some]))
    pool_ND, val_MD = own[: len(pool)], own[len(pool) :]
    near = [
        (val_MD[start : start + _BLOCK] @ pool_ND.T >= NEAR_COPY).any(axis=1)
        for start in range(0, len(val_MD), _BLOCK)
    ]
    return float(np.concatenate(near).mean())


def leakage_problems(name: str, found: Leakage) -> list[Problem]:
    """What of a leakage is an error."""
    measured = "so the model would be measured on what it was trained on; put them apart"
    problems = []
    if found.links:
        what = (
            f"{len(found.links):,} of the {found.images:,} images of val are files of the pool by "
            f"another path, {measured}. The first: {found.links[0].path}"
        )
        problems.append(Problem(name, what, loc=("val",)))
    if found.contents > 1 and len(found.copies) > FEW * found.images:
        problems.append(Problem(name, f"{_copies(found)}, {measured}", loc=("val",)))
    return problems


def leakage_lines(found: Leakage) -> list[str]:
    """What is reported of a leakage: copies and the share of near-copies."""
    notes = []
    if found.copies:
        notes.append(f"{_copies(found)}: results on them are on training data")
    if not np.isnan(found.near):
        notes.append(
            f"{100 * found.near:.0f} % of val's images have a near-copy in the pool (thumbnails "
            f"that correlate by {NEAR_COPY:g} or more)"
        )
    return notes


def _copies(found: Leakage) -> str:
    return (
        f"{len(found.copies):,} of the {found.images:,} images of val are byte for byte the same "
        f"as images of the pool, the first {found.copies[0].path}"
    )


def _inode(file: ListedFile) -> tuple[int, int] | None:
    return (file.state.st_dev, file.state.st_ino) if file.state and file.state.st_ino else None
