"""Builds a segmentor from its MMSegmentation config, with weights from files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
from mmengine.config import ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmseg.registry import MODELS
from torch import Tensor, nn

import alspec.models.nets.dense_aspp
import alspec.models.nets.wrn38
from alspec.errors import InputError
from alspec.models.input.loader import BatchPreProcessor
from alspec.models.nets.config_data import ConfigData
from alspec.models.nets.losses import count_on_device
from alspec.models.nets.mc_dropout import add_decoder_dropout
from alspec.models.nets.normalisation import PREPROCESSING
from alspec.models.nets.own_config import REGISTERED
from alspec.models.nets.weights import WeightsMatch, load_weights

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


__all__ = ["build_segmentor", "compat"]


def build_segmentor(
    config: ConfigData,
    *,
    mc_dropout: bool,
    pretrained: Path | None = None,
    checkpoint: Path | None = None,
    note: Callable[[str], None] | None = None,
) -> EncoderDecoder:
    """The segmentor with initial weights, on the CPU, in float32.

    Random weights come from torch's global generator: seed it before. Weights from files replace
    them.

    Args:
        config: as `model_config` gives it.
        mc_dropout: with dropout layers in the decoder.
        pretrained: weights of the backbone, ImageNet's for instance.
        checkpoint: weights of the whole segmentor.
        note: is given a sentence for each file: its layout and how many weights matched.

    Raises:
        InputError: the config builds no segmentor, a file cannot be read, or its weights do not
            fit the model.
    """
    model = assemble(config, mc_dropout=mc_dropout)
    model.init_weights()
    wanted = [
        (model.backbone, pretrained, ("module.", "backbone."), None),
        (model, checkpoint, ("module.",), model.out_channels),
    ]
    for module, path, prefixes, classes in wanted:
        if path is not None:
            match = load_weights(module, path, prefixes, classes=classes)
            if note:
                note(_in_words(module, path, match))
    return model


def _in_words(module: nn.Module, path: Path, match: WeightsMatch) -> str:
    layout = f" in the layout of {match.layout}" if match.layout else ""
    unused = f", {match.unused} others not used" if match.unused else ""
    count, kind = match.matched, type(module).__name__
    every = "" if match.reinitialised else "all "
    words = f"{path}: {every}{count} weights of {kind} matched{layout}{unused}"
    if match.reinitialised:
        words += (
            f"; {len(match.reinitialised)} belong to a head of {match.classes} classes and start "
            f"from random values: {', '.join(match.reinitialised)}"
        )
    if match.skipped:
        words += f"; skipped what is no tensor: {', '.join(match.skipped)}"
    return words


def assemble(config: ConfigData, *, mc_dropout: bool, random_init: bool = True) -> EncoderDecoder:
    """The segmentor of a config before its weights are set.

    Args:
        config: as `model_config` gives it.
        mc_dropout: with dropout layers in the decoder.
        random_init: with default initialisation, 1 s for WRN-38; without, weights
            are whatever was in memory, and torch's generator is left as it is.

    Raises:
        InputError: the config builds no segmentor, or its decoder takes no dropout layers.
    """
    _require_registered_names(config)
    try:
        with nullcontext() if random_init else _without_init():
            model = revert_sync_batchnorm(MODELS.build(ConfigDict(copy.deepcopy(dict(config)))))
    except Exception as err:
        raise InputError.at(
            "model", f"MMSegmentation cannot build it ({type(err).__name__}: {err})"
        ) from err
    # Set here, not in the config, which stays one that MMSegmentation alone can build.
    model.data_preprocessor = BatchPreProcessor(**_normalisation(config))
    count_on_device(model)
    if mc_dropout:
        add_decoder_dropout(model)
    return model


def _normalisation(config: ConfigData) -> ConfigData:
    """What the preprocessor does to pixels; batches have one size and are never padded."""
    given = config.get("data_preprocessor") or PREPROCESSING
    return {key: given[key] for key in ("mean", "std", "rgb_to_bgr") if key in given}


@contextmanager
def _without_init() -> Iterator[None]:
    """Have torch's layers leave their weights alone when they are made."""
    drawing = {name: draw for name, draw in vars(nn.init).items() if _draws(name)}
    vars(nn.init).update(dict.fromkeys(drawing, _left_alone))
    try:
        yield
    finally:
        vars(nn.init).update(drawing)


def _draws(name: str) -> bool:
    """Whether a function of `nn.init` fills a tensor: those end in an underscore."""
    return name.endswith("_") and not name.startswith("_")


def _left_alone(tensor: Tensor, *_: object, **__: object) -> Tensor:
    return tensor


def _require_registered_names(part: object) -> None:
    """Refuse a `type` that leads out of the registries: MMEngine would import and call it."""
    values: Iterable[object] = ()
    if isinstance(part, Mapping):
        named = part.get("type")
        if isinstance(named, str) and not REGISTERED.fullmatch(named):
            raise InputError.at(
                "model", f"its type `{named}` is no name of a registry; write the bare name"
            )
        values = part.values()
    elif isinstance(part, (list, tuple)):
        values = part
    for value in values:
        _require_registered_names(value)


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


# These register a backbone and a head.
_ = alspec.models.nets.wrn38.WideResNet38, alspec.models.nets.dense_aspp.DenseASPPHead
