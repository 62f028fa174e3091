"""Reads every file of a study once, before the first step: bad data never reach training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Dataset, Split
from alspec.datasets.class_coverage import coverage_line, coverage_problems, without_pixels
from alspec.datasets.files.contents import DIGEST_BYTES
from alspec.datasets.files.paired import PairedFiles
from alspec.datasets.image_facts import ImageFacts, TreeReader, rows_of
from alspec.datasets.leakage import (
    Leakage,
    SplitImages,
    leakage,
    leakage_lines,
    leakage_problems,
)
from alspec.datasets.open import open_dataset
from alspec.datasets.pools.construction import build_pool
from alspec.datasets.pools.duplicates import original_of
from alspec.errors import DataError, Problem, grouped
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.dag import Plan
from alspec.spec.model import AllFrames, DatasetSpec
from alspec.store.store import Store
from alspec.system.array_cache import ArrayCache

Progress = Callable[[str, int], None]
"""Called with a dataset's name and the images read so far."""

Note = Callable[[str], None]
"""Called with what is worth knowing of a dataset, in one line."""

Found = Callable[[str, Leakage], None]
"""Called with a dataset's name and what of its val its pool has too."""

MOST = 50
"""Problems shown of one dataset; more are counted."""


@dataclass(frozen=True)
class _Tree:
    """A dataset's files as read.

    Attributes:
        dataset: the tree, whatever pool is made of it.
        facts: by split.
        problems: what is wrong with files.
        read: images read, 0 where all was known.
        reader: what read them; None for a dataset without files.
    """

    dataset: Dataset
    facts: Mapping[Split, ImageFacts]
    problems: Sequence[Problem] = ()
    read: int = 0
    reader: TreeReader | None = None


def check_data(
    specs: Sequence[DatasetSpec],
    progress: Progress,
    store: Store | None = None,
    note: Note = lambda _: None,
    leaked: Found = lambda *_: None,
) -> dict[str, int]:
    """Read every image and mask, and look at what classes the pools and val hold.

    A file is read once: what was found is cached in the user's cache folder and, for a run, in its
    store, by what the file holds and how the spec has it read.

    Args:
        specs: the datasets of a study, with roots that exist.
        progress: called after every image.
        store: caches what was found as well.
        note: called with the pixels of each class and the ignored share of each pool and val.
        leaked: called with what of each val is in its pool.

    Returns:
        Images read for each dataset; 0 for a tree read before.

    Raises:
        DataError: all problems of all datasets; a class without a pixel is one unless the dataset's
            `absent` names it.
    """
    # Bad data of a first run leave nothing, so a store is not made for the cache.
    folders = [store.folders.checked] if store and store.root.is_dir() else []
    cache = ArrayCache.of_user(*folders)
    problems: list[Problem] = []
    images: dict[str, int] = {}
    trees: dict[str, _Tree] = {}
    for index, spec in enumerate(specs):
        # Several pools of one tree, augmented ones included, are one tree to read.
        dataset = open_dataset(spec.model_copy(update={"redundancy": AllFrames()}))
        identity = repr((dataset.spec.root, dataset.spec.recipe_fields("redundancy")))
        images[spec.name] = 0
        if identity not in trees:
            tree = _read(dataset, cache, partial(progress, spec.name))
            trees[identity] = tree
            images[spec.name] = tree.read
            problems += _shown(spec.name, tree.problems)
        if not trees[identity].problems:
            problems += _coverage(index, spec, trees[identity], note, leaked)
    _save(trees.values(), ArrayCache.of_user() if problems else cache)
    if problems:
        raise DataError(problems)
    return images


def _save(trees: Iterable[_Tree], cache: ArrayCache) -> None:
    """Cache what was found of files that are good; bad data leave nothing in a store."""
    for tree in trees:
        if tree.reader:
            tree.reader.save(cache)


def _read(dataset: Dataset, cache: ArrayCache, progress: Callable[[int], None]) -> _Tree:
    if dataset.spec.root is None:  # rendered from a seed: there are no files to read
        checked = list(dataset.check())
        return _Tree(dataset, {}, [problem for found in checked for problem in found], len(checked))
    reader = TreeReader(dataset, cache)
    facts: dict[Split, ImageFacts] = {}
    problems = []
    read = 0

    def count() -> None:
        nonlocal read
        read += 1
        progress(read)

    for split in Split:
        facts[split], found = reader.read(split, count)
        problems += found
    return _Tree(dataset, facts, problems, read, reader)


def _coverage(
    index: int, spec: DatasetSpec, tree: _Tree, note: Note, leaked: Found
) -> list[Problem]:
    """What is wrong with one pool and its val; shares go to `note`, val's copies to `leaked`."""
    if not tree.facts:
        return []
    classes = tree.dataset.classes
    frames = tree.dataset.frames(Split.POOL)
    pool = build_pool(spec.redundancy, frames).frames
    originals = [(original_of(frame.id) or (frame.id, 0))[0] for frame in pool]
    rows = rows_of([frame.id for frame in frames], originals)
    pixels = {
        Split.POOL: tree.facts[Split.POOL].pixels[rows].sum(axis=0),
        Split.VAL: tree.facts[Split.VAL].pixels.sum(axis=0),
    }
    for split, counts in pixels.items():
        note(f"{spec.name}: pixels of {coverage_line(split, classes, counts)}")
    if nowhere := without_pixels(spec, classes, pixels):
        named = ", ".join(f"`{name}`" for name in nowhere)
        note(f"{spec.name}: no mask has a pixel of {named}, so these classes are in no mean")
    found = coverage_problems(spec, classes, pixels)
    if leak := _leakage(tree, rows):
        leaked(spec.name, leak)
        found += leakage_problems(spec.name, leak)
        for line in leakage_lines(leak):
            note(f"{spec.name}: {line}")
    return [replace(problem, loc=("datasets", index, *problem.loc)) for problem in found]


def _leakage(tree: _Tree, rows: NDArray[np.int64]) -> Leakage | None:
    """What of val is in a pool, whose rows are given; None for a kind without files."""
    if not isinstance(tree.dataset, PairedFiles):
        return None
    halves = {}
    for split, facts in tree.facts.items():
        files = [image for image, _ in tree.dataset.files(split)]
        chosen = rows.tolist() if split is Split.POOL else range(len(files))
        halves[split] = SplitImages(
            files=[files[row] for row in chosen],
            digests=[facts.digests[row][:DIGEST_BYTES] for row in chosen],
            thumbnails=facts.thumbnails[list(chosen)],
        )
    return leakage(halves[Split.POOL], halves[Split.VAL])


def _shown(name: str, problems: Sequence[Problem]) -> list[Problem]:
    found = grouped(problems)
    if len(found) <= MOST:
        return found
    more = f"{len(found) - MOST} more problems; the first {MOST} are shown"
    return [*found[:MOST], Problem(name, more)]


def record_contents(plan: Plan, store: Store) -> None:
    """Record in a store what the files of a plan's datasets hold, where it has not seen them.

    Raises:
        InputError: files changed since the plan was made.
    """
    contents = ContentRevisions(store)
    for setting in {setting.pool_step: setting for setting in plan.settings}.values():
        place = dict(plan.steps[setting.pool_step].local_paths["dataset"])
        revisions = place.pop("revisions", {})
        spec = next(spec for spec in plan.study.datasets if spec.name == setting.dataset)
        contents.record(open_dataset(spec), revisions)
