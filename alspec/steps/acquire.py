"""Step `acquire`: the labelled set and a model to the next labelled set."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alspec.acquisition.base import (
    Acquisition,
    BatchAcquisition,
    Candidates,
    Family,
    FeaturesParams,
    Need,
    Outputs,
    SingleAcquisition,
)
from alspec.datasets.base import Frame, ImageId, Split
from alspec.datasets.pools.construction import candidates as every_nth
from alspec.errors import PluginError, StepFailed
from alspec.models.inference.finite import not_finite
from alspec.plan.arms import acquisition_function
from alspec.plan.kinds.acquire import (
    GIVEN,
    INITIAL,
    LABELLED,
    SCORES,
    SELECTED,
    AcquireFacts,
    AcquireParams,
    GivenParams,
    labelled_images,
)
from alspec.steps.illustrations import write_embedding, write_picks
from alspec.steps.plugin_calls import blamed_on
from alspec.steps.pool_outputs import Reduction, maker, over_images, require_finite
from alspec.steps.work import StepContext
from alspec.system import failpoints
from alspec.system.atomic import write_csv, write_text
from alspec.system.provenance import machine


def perform(context: StepContext) -> None:
    """Write `selected.txt`, `labelled.txt` (cumulative), `acquire.json` and any `scores.csv`."""
    started = time.perf_counter()
    selected: Sequence[ImageId]
    method, total = context.step.params["method"], labelled_images(context.step.params)
    labelled: tuple[ImageId, ...] = ()
    if method == GIVEN:
        selected = _given(context)
    elif method == INITIAL:
        pool = context.pool()
        rows = context.rng("select").choice(len(pool), total, replace=False)
        selected = [pool[row].id for row in rows]
    else:
        # Without labels this is a method's own initial set.
        labelled = context.labelled() if "labelled" in context.step.inputs else ()
        selected = _acquire(context, context.pool(), labelled, total - len(labelled))
        if "dataset" in context.step.local_paths:  # a method that looks at no image has none here
            frames = context.worker_context.frames(context.dataset())
            write_picks(context.folder, frames, selected)
    failpoints.at("acquire.save", context.folder)
    write_text(context.folder / SELECTED, "".join(f"{image}\n" for image in selected))
    write_text(context.folder / LABELLED, "".join(f"{i}\n" for i in (*labelled, *selected)))
    seconds = time.perf_counter() - started
    device = str(context.device)
    AcquireFacts(seconds, device).write(context.folder, **machine(device))


def _given(context: StepContext) -> Sequence[ImageId]:
    """The labelled set that the plan names, with its masks as they were then."""
    with context.planned_dataset(Split.POOL):
        return [ImageId(image) for image, *_ in GivenParams.of(context.step.params).files]


def _acquire(
    context: StepContext, pool: Sequence[Frame], labelled: Sequence[ImageId], n: int
) -> Sequence[ImageId]:
    params = AcquireParams.of(context.step.params)
    kind = acquisition_function(params.method)
    if kind.version != params.method_version:
        raise StepFailed(
            f"{maker(params.method)} changed since the study was planned: version "
            f"{params.method_version} was planned, {kind.version} is installed. Run again"
        )
    with blamed_on(params.method):
        function: Any = kind(kind.Params.model_validate(params.method_params))
    offered_of = pool
    if params.candidates:
        offered_of = every_nth(pool, params.candidates["every"])
    already = {*labelled, *params.excluded}
    open_frames = [frame for frame in offered_of if frame.id not in already]
    offered: Candidates | None = None
    if kind.family is Family.SINGLE:
        selected = _highest(context, function, [frame.id for frame in open_frames], n)
    else:
        offered = _offered(pool, open_frames, labelled)
        if kind.needs:
            offered = _with_outputs(context, function, offered, labelled)
        with blamed_on(params.method):
            chosen = function.select(offered, n, context.rng("select"))
            if not isinstance(chosen, Iterable):
                raise PluginError(
                    f"{maker(params.method)} returned a {type(chosen).__name__}; it must be "
                    "the chosen ids"
                )
            selected = list(chosen)
    _check_choice(params.method, selected, {frame.id for frame in open_frames}, n)
    if offered is not None and offered.features_ND is not None:
        images = [*offered.ids, *labelled]
        write_embedding(context.folder, images, _all_features(offered), selected)
    return selected


def _all_features(offered: Candidates) -> Tensor:
    """Features of candidates and labelled set, (N + M, D)."""
    parts = (offered.features_ND, offered.labelled_features_MD)
    return torch.cat([part for part in parts if part is not None])


def _offered(
    pool: Sequence[Frame], frames: Sequence[Frame], labelled: Sequence[ImageId]
) -> Candidates:
    """Some frames of a pool as candidates, and where in their sequences they and the labels lie."""
    counts: dict[str, int] = {}
    places: dict[ImageId, tuple[str, int]] = {}
    for frame in pool:
        places[frame.id] = frame.sequence, counts.get(frame.sequence, 0)
        counts[frame.sequence] = places[frame.id][1] + 1
    return Candidates(
        ids=[frame.id for frame in frames],
        sequences=[frame.sequence for frame in frames],
        positions=[places[frame.id][1] for frame in frames],
        labelled_ids=list(labelled),
        labelled_sequences=[places[image][0] for image in labelled],
        labelled_positions=[places[image][1] for image in labelled],
    )


def _highest(
    context: StepContext, function: SingleAcquisition, images: Sequence[ImageId], n: int
) -> Sequence[ImageId]:
    """The n images of the highest score; equal scores in the order of their ids."""
    scores = _scores(context, function, images)
    ranked = sorted(zip(images, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    rows = [(image, repr(score)) for image, score in ranked]
    write_csv(context.folder / SCORES, ("id", "score"), rows)
    return [image for image, _ in ranked[:n]]


def _scores(
    context: StepContext, function: SingleAcquisition, images: Sequence[ImageId]
) -> NDArray[np.float64]:
    method = AcquireParams.of(context.step.params).method

    def score(outputs: Outputs) -> Tensor:
        scores = function.score(outputs)
        return scores.double() if isinstance(scores, Tensor) else scores

    scores = over_images(context, function, images, {"score": score})["score"].cpu()
    if wrong := not_finite(images, scores.isfinite()):
        raise PluginError(
            f"{maker(method)} gave {len(wrong)} scores that are not finite, the first for "
            f"{wrong[0]}; nothing was selected"
        )
    return scores.numpy()


def _with_outputs(
    context: StepContext,
    function: BatchAcquisition,
    offered: Candidates,
    labelled: Sequence[ImageId],
) -> Candidates:
    """Candidates with what a batch method needs to know of them and of the labelled set."""
    reductions: dict[str, Reduction] = {}
    if Need.FEATURES in function.needs:
        grid = features_grid(function)
        reductions["features"] = lambda outputs: outputs.features_in_cells(grid)
    if callable(reduce := getattr(function, "reduce", None)):
        reductions["reduced"] = reduce
    method, images = AcquireParams.of(context.step.params).method, [*offered.ids, *labelled]
    reduced_rows = over_images(context, function, images, reductions)
    for what, rows in reduced_rows.items():
        require_finite(what, images, rows.isfinite().reshape(len(images), -1).all(dim=1), method)
    n = len(offered.ids)
    features, reduced = reduced_rows.get("features"), reduced_rows.get("reduced")
    return replace(
        offered,
        features_ND=None if features is None else features[:n],
        labelled_features_MD=None if features is None else features[n:],
        reduced_N=None if reduced is None else reduced[:n],
        labelled_reduced_M=None if reduced is None else reduced[n:],
    )


def features_grid(function: Acquisition) -> int:
    """Cells along a side of the image in which a function wants features averaged."""
    params = getattr(function, "params", None)
    return params.grid if isinstance(params, FeaturesParams) else 1


def _check_choice(name: str, selected: Sequence[ImageId], offered: set[ImageId], n: int) -> None:
    """A choice is n different candidates, or the error names the package that made it."""
    if len(selected) != n:
        raise PluginError(f"{maker(name)} chose {len(selected)} images instead of {n}")
    if len(set(selected)) != n:
        raise PluginError(f"{maker(name)} chose an image twice")
    foreign = [image for image in selected if image not in offered]
    if foreign:
        raise PluginError(f"{maker(name)} chose {foreign[0]}, which is not a candidate")
