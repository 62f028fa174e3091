"""Names of backbone weights: torchvision's and timm's, translated into MMSegmentation's.

Only names differ between the three; shapes and order of channels are the same. A name that the
backbone has no use for, the classifier's for instance, translates into None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

STAGES = (1, 2, 3, 4, 3, 3, 1)
"""Blocks of MobileNetV2's stages (Sandler et al., 2018, table 2)."""

Translation = Callable[[str], "str | None"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a library names a backbone's weights.

    Attributes:
        origin: the library, as messages name it.
        mark: a name that only this layout has.
        translated: a name of this layout to MMSegmentation's.
    """

    origin: str
    mark: str
    translated: Translation


def _split(name: str, pattern: str) -> tuple[str, ...] | None:
    match = re.fullmatch(pattern, name)
    return match.groups() if match else None


def _same(name: str) -> str:
    return name


def _expanding(stage: int) -> bool:
    """Whether a stage's blocks start with a 1x1 convolution that expands: all but the first's."""
    return stage > 0


def _torchvision_mobilenet(name: str) -> str | None:
    """`features.4.conv.1.0.weight` to `layer3.0.conv.1.conv.weight`."""
    if stem := _split(name, r"features\.0\.([01])\.(\w+)"):
        return f"conv1.{'bn' if stem[0] == '1' else 'conv'}.{stem[1]}"
    block = _split(name, r"features\.(\d+)\.conv\.([\w.]+)\.(\w+)")
    if block is None or (place := _stage_of(int(block[0]) - 1)) is None:
        return None
    stage, number = place
    last = 2 if _expanding(stage) else 1
    inner = {f"{last}": f"{last}.conv", f"{last + 1}": f"{last}.bn"}
    for layer in range(last):
        inner |= {f"{layer}.0": f"{layer}.conv", f"{layer}.1": f"{layer}.bn"}
    part = inner.get(block[1], f"unknown.{block[1]}")
    return f"layer{stage + 1}.{number}.conv.{part}.{block[2]}"


def _stage_of(block: int) -> tuple[int, int] | None:
    """Stage and place in it of a block, both from 0; None where MobileNetV2 has no such block."""
    for stage, blocks in enumerate(STAGES):
        if 0 <= block < blocks:
            return stage, block
        block -= blocks
    return None


def _timm_mobilenet(name: str) -> str | None:
    """`blocks.2.0.conv_dw.weight` to `layer3.0.conv.1.conv.weight`."""
    if name == "conv_stem.weight":
        return "conv1.conv.weight"
    if stem := _split(name, r"bn1\.(\w+)"):
        return f"conv1.bn.{stem[0]}"
    block = _split(name, r"blocks\.(\d+)\.(\d+)\.([\w.]+)\.(\w+)")
    if block is None:
        return None
    layers = (
        ("conv_pw", "conv_dw", "conv_pwl") if _expanding(int(block[0])) else ("conv_dw", "conv_pw")
    )
    inner = {layer: f"{number}.conv" for number, layer in enumerate(layers)}
    inner |= {f"bn{number + 1}": f"{number}.bn" for number in range(len(layers))}
    part = inner.get(block[2], f"unknown.{block[2]}")
    return f"layer{int(block[0]) + 1}.{block[1]}.conv.{part}.{block[3]}"


def _timm_deep_resnet(name: str) -> str:
    """`conv1.3.weight` to `stem.3.weight`, and the norm after the deep stem into it."""
    if name.startswith("conv1."):
        return f"stem.{name.removeprefix('conv1.')}"
    return f"stem.7.{name.removeprefix('bn1.')}" if name.startswith("bn1.") else name


MOBILENET_V2 = (
    Layout("torchvision", "features.0.0.weight", _torchvision_mobilenet),
    Layout("timm", "conv_stem.weight", _timm_mobilenet),
    Layout("MMSegmentation", "conv1.conv.weight", _same),
)
RESNET = (
    Layout("timm", "conv1.0.weight", _timm_deep_resnet),
    Layout("MMSegmentation", "stem.0.weight", _same),
    Layout("torchvision, timm and MMSegmentation", "conv1.weight", _same),
)
LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "MobileNetV2": MOBILENET_V2,
    "ResNet": RESNET,
    "ResNetV1c": RESNET,
    "ResNetV1d": RESNET,
}
"""Of each backbone class of MMSegmentation, the layouts that are understood."""


def layout_of(backbone: str, names: Collection[str]) -> Layout | None:
    """The layout that some weights' names are in.

    Args:
        backbone: the backbone's class.
        names: of the weights, without prefixes of a wrapper.

    Returns:
        None for a backbone without known layouts, and for names of none of them.
    """
    return next((layout for layout in LAYOUTS.get(backbone, ()) if layout.mark in names), None)
