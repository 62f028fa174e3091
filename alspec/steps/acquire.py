"""Step `acquire`: the labelled set and a model to the next labelled set."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alspec import plugins
from alspec.acquisition.base import Candidates, Family, Need
from alspec.datasets.base import Frame, ImageId
from alspec.datasets.pools.construction import candidates as every_nth
from alspec.errors import PluginError, StepFailed
from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.finite import not_finite, watching
from alspec.models.inference.outputs import outputs_of
from alspec.models.input.batches import in_batches
from alspec.models.nets.precision import in_bfloat16
from alspec.plan.expand import INITIAL
from alspec.steps.plugin_calls import blamed_on
from alspec.steps.train import load_trained
from alspec.steps.work import StepContext
from alspec.system import failpoints
from alspec.system.atomic import write_csv, write_json, write_text
from alspec.system.provenance import machine

BATCH = 8
"""Images in a forward pass."""


def perform(context: StepContext) -> None:
    """Write `selected.txt`, `labelled.txt` (cumulative), `acquire.json` and any `scores.csv`."""
    started = time.perf_counter()
    pool = context.pool()
    total = context.step.params["images"]
    if context.step.params["method"] == INITIAL:
        labelled: tuple[ImageId, ...] = ()
        rows = context.rng("select").choice(len(pool), total, replace=False)
        selected: Sequence[ImageId] = [pool[row].id for row in rows]
    else:
        labelled = context.labelled()
        selected = _acquire(context, pool, labelled, total - len(labelled))
    failpoints.at("acquire.save", context.folder)
    write_text(context.folder / "selected.txt", "".join(f"{image}\n" for image in selected))
    write_text(context.folder / "labelled.txt", "".join(f"{i}\n" for i in (*labelled, *selected)))
    seconds = time.perf_counter() - started
    write_json(
        context.folder / "acquire.json", {**machine(str(context.device)), "seconds": seconds}
    )


def _acquire(
    context: StepContext, pool: Sequence[Frame], labelled: Sequence[ImageId], n: int
) -> Sequence[ImageId]:
    params = context.step.params
    kind: Any = plugins.load("alspec.acquisition", params["method"])
    with blamed_on(params["method"]):
        function = kind(kind.Params.model_validate(params["method_params"]))
    if params["candidates"]:
        pool = every_nth(pool, params["candidates"]["every"])
    already = set(labelled)
    open_frames = [frame for frame in pool if frame.id not in already]
    if kind.family is Family.SINGLE:
        selected = _highest(context, function, [frame.id for frame in open_frames], n)
    else:
        offered = Candidates(
            ids=[frame.id for frame in open_frames],
            sequences=[frame.sequence for frame in open_frames],
        )
        if Need.FEATURES in kind.needs:
            offered = _with_features(context, offered, labelled)
        with blamed_on(params["method"]):
            chosen = function.select(offered, n, context.rng("select"))
            if not isinstance(chosen, Iterable):
                raise PluginError(
                    f"{_maker(params['method'])} returned a {type(chosen).__name__}; it must be "
                    "the chosen ids"
                )
            selected = list(chosen)
    _check_choice(params["method"], selected, {frame.id for frame in open_frames}, n)
    return selected


def _highest(
    context: StepContext, function: Any, images: Sequence[ImageId], n: int
) -> Sequence[ImageId]:
    """The n images of the highest score; equal scores in the order of their ids."""
    scores = _scores(context, function, images)
    ranked = sorted(zip(images, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    rows = [(image, repr(score)) for image, score in ranked]
    write_csv(context.folder / "scores.csv", ("id", "score"), rows)
    return [image for image, _ in ranked[:n]]


def _segmentor(context: StepContext) -> tuple[Any, bool]:
    """The trained segmentor made quick, and whether it computes in bfloat16, as in its training."""
    train = context.step.inputs["train"]
    segmentor = folded(lambda: load_trained(context.store, train, torch.device("cpu")))
    segmentor.to(device=context.device, memory_format=torch.channels_last)
    precision = context.store.read_json(train, "model.json").get("precision", "float32")
    return segmentor, in_bfloat16(precision, context.device)


@torch.inference_mode()
def _scores(context: StepContext, function: Any, images: Sequence[ImageId]) -> NDArray[np.float64]:
    segmentor, bfloat16 = _segmentor(context)
    method = context.step.params["method"]
    passes = getattr(function.params, "passes", 0) if Need.PASSES in function.needs else 0
    frames = context.worker_context.frames(context.dataset())
    parts: list[Tensor] = []
    sound: list[Tensor] = []
    done = 0
    for number, (ids, batch) in enumerate(in_batches(frames, images, BATCH)):
        outputs = outputs_of(
            segmentor,
            batch.images,
            context.device,
            passes=passes,
            generator_seed=context.seed(f"dropout/{number}"),
            mirror=Need.MIRROR in function.needs,
            bfloat16=bfloat16,
        )
        with blamed_on(method), watching(segmentor) as watch:
            scores = function.score(outputs)
        sound.append(watch.finite(len(ids)))
        if not isinstance(scores, Tensor) or scores.shape != (len(ids),):
            shape = tuple(getattr(scores, "shape", ()))
            raise PluginError(
                f"{_maker(method)} returned a {type(scores).__name__} of shape {shape} for "
                f"{len(ids)} images; it must be a tensor of shape ({len(ids)},)"
            )
        parts.append(scores.double())
        done += len(ids)
        context.progress(done, len(images))
    _require_finite("predictions", images, torch.cat(sound), method)
    together = torch.cat(parts).cpu()
    if wrong := not_finite(images, together.isfinite()):
        raise PluginError(
            f"{_maker(method)} gave {len(wrong)} scores that are not finite, the first for "
            f"{wrong[0]}; nothing was selected"
        )
    return together.numpy()


@torch.inference_mode()
def _with_features(
    context: StepContext, offered: Candidates, labelled: Sequence[ImageId]
) -> Candidates:
    segmentor, bfloat16 = _segmentor(context)
    frames = context.worker_context.frames(context.dataset())
    images = [*offered.ids, *labelled]
    features = torch.empty(0)
    done = 0
    for ids, batch in in_batches(frames, images, BATCH):
        features_BD = outputs_of(
            segmentor, batch.images, context.device, bfloat16=bfloat16
        ).features_BD
        if not done:  # parts that are joined at the end take the memory twice
            features = features_BD.new_empty((len(images), features_BD.shape[1]))
        features[done : done + len(ids)] = features_BD
        done += len(ids)
        context.progress(done, len(images))
    _require_finite(
        "features", images, features.isfinite().all(dim=1), context.step.params["method"]
    )
    n = len(offered.ids)
    return Candidates(offered.ids, offered.sequences, features[:n], features[n:])


def _require_finite(what: str, images: Sequence[ImageId], finite: Tensor, method: str) -> None:
    """Raise StepFailed, naming the first image that the model has no finite numbers for."""
    if wrong := not_finite(images, finite):
        raise StepFailed(
            f"the model's {what} of {len(wrong)} images are not finite, the first of {wrong[0]}; "
            f"{_maker(method)} chose nothing. Lower training.lr"
        )


def _maker(name: str) -> str:
    return plugins.maker("alspec.acquisition", name)


def _check_choice(name: str, selected: Sequence[ImageId], offered: set[ImageId], n: int) -> None:
    """A choice is n different candidates, or the error names the package that made it."""
    if len(selected) != n:
        raise PluginError(f"{_maker(name)} chose {len(selected)} images where {n} were asked for")
    if len(set(selected)) != n:
        raise PluginError(f"{_maker(name)} chose an image twice")
    foreign = [image for image in selected if image not in offered]
    if foreign:
        raise PluginError(f"{_maker(name)} chose {foreign[0]}, which is not a candidate")
