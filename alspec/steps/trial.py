"""A training, a measurement and a scoring in small: what would fail in a run fails here first.

Two images of noise take one step of the very training that is planned, are measured, and are scored
by every method that reads this model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alspec.acquisition.base import Family, Need
from alspec.datasets.base import IGNORE, ImageId
from alspec.errors import AlspecError, InputError
from alspec.models.inference.outputs import outputs_of
from alspec.models.input.pixel_source import PixelSource
from alspec.models.nets.config_data import ConfigData
from alspec.models.nets.normalisation import divisor_of
from alspec.models.training.fit import Seeds, fit
from alspec.models.training.optimizers import Recipe, in_words
from alspec.models.training.parallel import foreign_norms
from alspec.plan.arms import acquisition_function
from alspec.plan.kinds.train import TrainParams
from alspec.plan.step import Step
from alspec.spec.model import S4GAN
from alspec.steps.plugin_calls import blamed_on
from alspec.steps.train import config_of, initial_segmentor, recipe_for

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


IMAGES = (ImageId("0"), ImageId("1"))
SMALL = 64
"""Side of images that built-in models are tried on, in pixels; they take images of any size."""
NATIVE = (256, 256)
"""Height and width where a dataset keeps each image's own size, and no crop says otherwise."""
_SEEDS = Seeds(init=0, order=0, unlabelled=0, dropout=0, discriminator=0)
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Scoring:
    """A method that reads the model.

    Attributes:
        method: its plugin name.
        params: its parameters, plain data.
    """

    method: str
    params: Mapping[str, object]


@dataclass
class Trial:
    """What was learnt of a model.

    Attributes:
        notes: a sentence each: files of weights, what of a config is followed, times.
        seconds: of each part, by its name.
    """

    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part, and say in which one something failed.

        Raises:
            InputError: whatever MMSegmentation raised in it, with its name.
        """
        started = time.perf_counter()
        try:
            yield
        except AlspecError:
            raise
        except Exception as err:
            why = " ".join(str(err).split()) or "no message"
            what = f"{name} fails ({type(err).__name__}: {why})"
            raise InputError.at("model", what) from err
        self.seconds[name] = time.perf_counter() - started


class _Noise:
    """Two images and masks of noise, every class in each mask that has room for it."""

    def __init__(self, classes: int, size: tuple[int, int]) -> None:
        self.classes = [str(number) for number in range(classes)]
        self.size = size

    def read_image(self, image: ImageId) -> NDArray[np.uint8]:
        return self._rng(image).integers(0, 256, (*self.size, 3), np.uint8)

    def read_mask(self, image: ImageId) -> NDArray[np.uint8]:
        rows = np.arange(self.size[0]) // 4 % len(self.classes)
        mask = np.repeat(rows[:, None], self.size[1], axis=1).astype(np.uint8)
        mask[:, 0] = IGNORE
        return mask

    @staticmethod
    def _rng(image: ImageId) -> np.random.Generator:
        return np.random.default_rng(int(image))


def try_model(step: Step, scorings: Sequence[Scoring]) -> Trial:
    """One step of training, one measurement and every scoring of a model, on the processor.

    Args:
        step: of kind train.
        scorings: the methods that read its weights.

    Raises:
        AlspecError: what the run would fail with, or what MMSegmentation raised.
    """
    trial = Trial()
    config, recipe = config_of(step), recipe_for(step)
    size = _size(step, recipe)
    _refuse_padding(config, size)
    trial.notes += _followed(step, config, recipe)
    params = TrainParams.of(step.params)
    noise = _Noise(params.classes, size)
    frames = PixelSource(noise, size)  # type: ignore[arg-type]  # all of a dataset that it asks
    with trial.part("one training step on two images"):
        trained = fit(
            lambda: initial_segmentor(step, config, trial.notes.append),
            frames,
            IMAGES,
            IMAGES,
            _of_one_step(recipe),
            S4GAN.model_validate(params.s4gan) if params.s4gan else None,
            _SEEDS,
            _CPU,
            lambda done, total: None,
        )
    segmentor = trained.segmentor.eval()
    if step.devices > 1:
        _refuse_foreign_norms(segmentor)
    pixels = np.stack([noise.read_image(image) for image in IMAGES])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    with torch.inference_mode():
        with trial.part("one measurement"):
            for logits in outputs_of(segmentor, images, _CPU).logits_by_image:
                _require_shape(logits, (1, params.classes, *size))
        for scoring in scorings:
            with trial.part(f"scoring by {scoring.method}"), blamed_on(scoring.method):
                _score(segmentor, images, scoring)
    trial.notes.append(_times(step, trial, size))
    return trial


def _size(step: Step, recipe: Recipe) -> tuple[int, int]:
    """Height and width that a training reads, small ones for models that take any."""
    given = recipe.training.crop or step.local_paths["dataset"].get("image_size") or NATIVE
    height, width = given
    if "config" in step.local_paths["model"]:
        return height, width
    return min(height, SMALL), min(width, SMALL)


def _of_one_step(recipe: Recipe) -> Recipe:
    changes = {
        "epochs": 1,
        "batch_size": len(IMAGES),
        "crop": None,
        "scale": None,
        "compile": False,
    }
    return replace(recipe, training=recipe.training.model_copy(update=changes))


def _refuse_padding(config: ConfigData, size: Sequence[int]) -> None:
    divisor = divisor_of(config)
    if any(side % divisor for side in size):
        raise InputError.at(
            "model",
            f"its `data_preprocessor` pads images to multiples of {divisor}, which alspec does "
            f"not; they have {size[0]} x {size[1]} pixels. Choose an image_size of such multiples",
        )


def _refuse_foreign_norms(segmentor: EncoderDecoder) -> None:
    foreign = list(foreign_norms(segmentor))
    if foreign:
        raise InputError.at(
            "model",
            f"has batch norms of a kind ({', '.join(foreign)}) whose statistics alspec cannot take "
            "over several devices. Leave out execution.devices",
        )


def _followed(step: Step, config: ConfigData, recipe: Recipe) -> Iterator[str]:
    """What of a config file decides the training and the measuring."""
    path = step.local_paths["model"].get("config")
    if path is None:
        if TrainParams.of(step.params).training.get("optimizer"):
            yield f"training: {in_words(recipe)}"
        return
    given = config["data_preprocessor"]
    bands = "BGR" if given.get("rgb_to_bgr") else "RGB"
    mean, std = (", ".join(f"{value:g}" for value in given[key]) for key in ("mean", "std"))
    yield f"{path}: normalises {bands} by mean {mean} and std {std}"
    test = config.get("test_cfg") or {}
    if test.get("mode") == "slide":
        crop, stride = (" x ".join(map(str, test[key])) for key in ("crop_size", "stride"))
        yield f"{path}: measures and scores by sliding windows of {crop}, {stride} apart"
    yield f"{path}: trained by {in_words(recipe)}"


def _require_shape(logits: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(logits.shape) != expected:
        raise InputError.at(
            "model", f"its predictions have the shape {tuple(logits.shape)}, not {expected}"
        )


def _score(segmentor: EncoderDecoder, images: Tensor, scoring: Scoring) -> None:
    kind = acquisition_function(scoring.method)
    function: Any = kind(kind.Params.model_validate(dict(scoring.params)))
    passes = getattr(function.params, "passes", 0) if Need.PASSES in kind.needs else 0
    mirror = Need.MIRROR in kind.needs
    outputs = outputs_of(segmentor, images, _CPU, passes=passes, mirror=mirror)
    if kind.family is Family.SINGLE:
        function.score(outputs)
        return
    if Need.FEATURES in kind.needs:
        _ = outputs.features_BD
    if callable(getattr(function, "reduce", None)):
        function.reduce(outputs)


def _times(step: Step, trial: Trial, size: Sequence[int]) -> str:
    params = TrainParams.of(step.params)
    name = params.model.get("name", step.local_paths["model"].get("config"))
    arms = [" with s4GAN"] if params.s4gan else []
    arms += [" with dropout layers"] if params.mc_dropout else []
    parts = ", ".join(f"{part} {seconds:.2g} s" for part, seconds in trial.seconds.items())
    return f"{name}{''.join(arms)}, {size[0]} x {size[1]} on the processor: {parts}"
