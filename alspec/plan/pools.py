"""The pools of a study: listed, never read, and checked against what its budgets ask of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from alspec.datasets.base import Dataset, Frame, Split
from alspec.datasets.files.resizing import RESIZING
from alspec.datasets.open import open_dataset
from alspec.datasets.pools.construction import build_pool, candidates, short_name
from alspec.errors import InputError, Problem
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.kinds import POOL
from alspec.plan.kinds.pool import PoolParams
from alspec.plan.step import Step
from alspec.spec.model import Budget, DatasetSpec, Study


@dataclass(frozen=True)
class ListedPool:
    """A dataset of the study with its pool.

    Attributes:
        spec: the dataset, its paths absolute.
        classes: how many.
        frames: of the pool, in time order.
        step: the step that lists the pool.
        validation: what makes the validation images and labels what they are.
        validation_images: how many.
        place: the dataset as a worker opens it, with its root on this machine.
    """

    spec: DatasetSpec
    classes: int
    frames: tuple[Frame, ...]
    step: Step
    validation: dict[str, object]
    validation_images: int
    place: Mapping[str, object]

    def budgets(self, study: Study) -> tuple[tuple[Budget, tuple[str | int, ...]], ...]:
        """The pool's own budgets, or the study's, each with its place in the spec."""
        if self.spec.budgets is None:
            return tuple((budget, ("budgets", i)) for i, budget in enumerate(study.budgets))
        own = ("datasets", study.datasets.index(self.spec), "budgets")
        return tuple((budget, (*own, i)) for i, budget in enumerate(self.spec.budgets))

    def restricted(self, every: int) -> ListedPool:
        """The pool of a method whose candidates are every n-th frame: it sees nothing else."""
        frames = candidates(self.frames, every)
        params = replace(PoolParams.of(self.step.params), candidates={"every": every})
        label = f"{self.step.label} every {every}"
        step = Step(POOL, params.recipe(), {}, self.step.local_paths, label)
        return replace(self, frames=frames, step=step)

    @property
    def name(self) -> str:
        """What tables call the pool."""
        return short_name(self.spec.redundancy)


def open_pools(study: Study, contents: ContentRevisions | None = None) -> list[ListedPool]:
    """List every dataset of the study, whose paths are absolute.

    Args:
        study: what is planned.
        contents: detects files that changed at the same size; not checked if None.

    Raises:
        InputError: what is wrong with any of them, each problem with its place in the spec.
    """
    pools = []
    opened: dict[str, Dataset] = {}
    problems: list[Problem] = []
    for index, spec in enumerate(study.datasets):
        try:
            pools.append(_open(spec, opened, contents))
        except InputError as err:
            problems += [
                replace(problem, loc=("datasets", index, *problem.loc)) for problem in err.problems
            ]
    if problems:
        raise InputError(problems)
    return pools


def check_sizes(study: Study) -> None:
    """Raises InputError for each dataset whose images keep their own sizes without a crop."""
    problems = [
        Problem(
            "datasets",
            f"`{spec.name}` keeps its images' own sizes, which a batch cannot hold. Give "
            "`image_size` here, or `training.crop`",
            loc=("datasets", index),
        )
        for index, spec in enumerate(study.datasets)
        if spec.image_size is None and study.training.crop is None
    ]
    if problems:
        raise InputError(problems)


def _open(
    spec: DatasetSpec, opened: dict[str, Dataset], contents: ContentRevisions | None
) -> ListedPool:
    dataset = open_dataset(spec, opened)
    pool = build_pool(spec.redundancy, dataset.frames(Split.POOL))
    revisions = contents.of(dataset) if contents else {}
    params = PoolParams(
        dataset=split_identity(dataset, Split.POOL, revisions),
        redundancy=spec.redundancy.model_dump(mode="json", exclude={"path"}),
        pool=pool.sha256,
    )
    place = spec.model_dump(mode="json") | ({"revisions": revisions} if revisions else {})
    step = Step(POOL, params.recipe(), {}, {"dataset": place}, f"{spec.name} pool")
    validation = split_identity(dataset, Split.VAL, revisions)
    images = len(dataset.frames(Split.VAL))
    return ListedPool(spec, len(dataset.classes), pool.frames, step, validation, images, place)


def split_identity(
    dataset: Dataset, split: Split, revisions: Mapping[str, str] | None = None
) -> dict[str, object]:
    """What makes a split's pixels and labels what they are, wherever it lies; plain data.

    Args:
        dataset: the tree.
        split: which half.
        revisions: what files hold that is not what a store first saw (`ContentRevisions`); what
            the dataset's spec says of it if None.
    """
    apart = dataset.spec.VALIDATION_ONLY if split is Split.POOL else frozenset()
    fields = dataset.spec.recipe_fields("redundancy", *apart)
    if dataset.spec.root and dataset.spec.image_size:  # files are resized; rendered images are not
        fields["resizing"] = RESIZING
    revisions = dataset.spec.revisions if revisions is None else revisions
    if content := revisions.get(split.value):
        fields["content"] = content
    return {**fields, "split": split.value, "fingerprint": dataset.fingerprint(split)}


def check_budgets(study: Study, pools: Sequence[ListedPool]) -> None:
    """Raises InputError for each budget that a pool, or a method's candidates, cannot fill."""
    problems: list[Problem] = []
    for index, pool in enumerate(pools):
        for budget, loc in pool.budgets(study):
            what = _misfit(budget, pool)
            if what:
                size = ("datasets", index, "redundancy", "size")
                problems.append(Problem("budgets", what, loc=loc, against=(size,)))
            else:
                problems += _short_of_candidates(study, pool, budget, loc)
    if problems:
        raise InputError(problems)


def _misfit(budget: Budget, pool: ListedPool) -> str:
    size = len(pool.frames)
    counts = budget.labelled_images(size)
    if counts[-1] > size:
        return (
            f"{budget.name} ends at {counts[-1]} labelled images, but the pool `{pool.spec.name}` "
            f"has {size}. Use fewer cycles or smaller steps"
        )
    if counts[0] < 1 or any(after <= before for before, after in pairwise(counts)):
        return (
            f"{budget.name} labels {', '.join(map(str, counts))} of the {size} images of "
            f"`{pool.spec.name}`: every cycle must add at least one. Use larger steps"
        )
    return ""


def _short_of_candidates(
    study: Study, pool: ListedPool, budget: Budget, budget_loc: tuple[str | int, ...]
) -> Iterator[Problem]:
    last = budget.labelled_images(len(pool.frames))[-1]
    for index, method in enumerate(study.methods):
        if method.candidates is None:
            continue
        have = len(candidates(pool.frames, method.candidates.every))
        if have < last:
            yield Problem(
                "methods",
                f"{method.label} has {have} candidates in the pool `{pool.spec.name}`, fewer than "
                f"the {last} images of {budget.name}. Use a smaller `every`",
                loc=("methods", index, "candidates"),
                against=(budget_loc,),
            )
