"""What a trained model says of images, reduced image by image while the batches pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from alspec import plugins
from alspec.acquisition.base import Acquisition, Need, Outputs
from alspec.datasets.base import ImageId, Split
from alspec.errors import PluginError, StepFailed
from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.finite import not_finite, watching
from alspec.models.inference.outputs import outputs_of
from alspec.models.input.batches import in_batches
from alspec.models.input.pixel_source import PixelSource
from alspec.models.nets.precision import in_bfloat16
from alspec.plan.kinds.acquire import AcquireParams
from alspec.plan.kinds.train import ModelFacts
from alspec.steps.plugin_calls import blamed_on
from alspec.steps.train import load_trained
from alspec.steps.work import StepContext

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


BATCH = 8
"""Images in a forward pass."""

Reduction: TypeAlias = Callable[[Outputs], Tensor]
"""Outputs of a batch to a number or an array an image."""


@torch.inference_mode()
def over_images(
    context: StepContext,
    function: Acquisition,
    images: Sequence[ImageId],
    reductions: Mapping[str, Reduction],
) -> dict[str, Tensor]:
    """What some reductions keep of images of the pool, (N, ...) each, on the device.

    Args:
        context: of a step whose input `train` holds the model.
        function: the acquisition function; its needs say what the outputs hold.
        images: in the order of the rows that come back.
        reductions: by what they keep; `score` is a number an image.

    Raises:
        PluginError: a reduction gave something else than a row an image.
        StepFailed: predictions that were looked at are not finite, or the pool is not the planned
            one any more.
    """
    with context.planned_dataset(Split.POOL) as dataset:
        frames = context.worker_context.frames(dataset)
        return _over_frames(context, function, frames, images, reductions)


def _over_frames(
    context: StepContext,
    function: Acquisition,
    frames: PixelSource,
    images: Sequence[ImageId],
    reductions: Mapping[str, Reduction],
) -> dict[str, Tensor]:
    segmentor, bfloat16 = _segmentor(context)
    method = AcquireParams.of(context.step.params).method
    passes = _passes_of(function) if Need.PASSES in function.needs else 0
    found: dict[str, Tensor] = {}
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
            rows = {what: reduction(outputs) for what, reduction in reductions.items()}
        sound.append(watch.finite(len(ids)))
        for what, some in rows.items():
            _check_rows(method, what, some, len(ids))
            if not done:  # parts that are joined at the end take the memory twice
                found[what] = some.new_empty((len(images), *some.shape[1:]))
            found[what][done : done + len(ids)] = some
        done += len(ids)
        context.progress(done, len(images))
    if sound:
        require_finite("predictions", images, torch.cat(sound), method)
    return found


def _passes_of(function: Acquisition) -> int:
    """How many dropout passes an acquisition function wants; its parameters say it."""
    passes: int = getattr(getattr(function, "params", None), "passes", 0)
    return passes


def _segmentor(context: StepContext) -> tuple[EncoderDecoder, bool]:
    """The trained segmentor made quick, and whether it computes in bfloat16, as in its training."""
    train = context.step.inputs["train"]
    segmentor = folded(lambda: load_trained(context.store, train, torch.device("cpu")))
    segmentor.to(device=context.device, memory_format=torch.channels_last)
    precision = ModelFacts.read(context.store, train).precision
    return segmentor, in_bfloat16(precision, context.device)


def _check_rows(name: str, what: str, rows: object, count: int) -> None:
    """Raise PluginError for what is no tensor of a row an image."""
    shape = tuple(getattr(rows, "shape", ()))
    wrong = shape != (count,) if what == "score" else shape[:1] != (count,)
    if not isinstance(rows, Tensor) or wrong:
        expected = f"({count},)" if what == "score" else f"({count}, ...)"
        raise PluginError(
            f"{maker(name)} returned a {type(rows).__name__} of shape {shape} for {count} images; "
            f"it must be a tensor of shape {expected}"
        )


def require_finite(what: str, images: Sequence[ImageId], finite: Tensor, method: str) -> None:
    """Raise StepFailed, naming the first image that the model has no finite numbers for."""
    if wrong := not_finite(images, finite):
        raise StepFailed(
            f"the model's {what} of {len(wrong)} images are not finite, the first of {wrong[0]}; "
            f"{maker(method)} chose nothing. Lower training.lr"
        )


def maker(name: str) -> str:
    """An acquisition function and the packages that bring it, for messages."""
    return plugins.maker("alspec.acquisition", name)
