"""Scores that are means over pixels, computed a few rows at a time: no class map is made whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.acquisition.base import Block, Outputs, Part


SomePart = TypeVar("SomePart", bound="Part")


def mean_over(parts: Iterable[SomePart], score: Callable[[SomePart], Tensor]) -> Tensor:
    """Mean over all pixels of what `score` gives as mean over the pixels of each part.

    Args:
        parts: at least one; together all rows of B images, each once.
        score: a row for each of a part's images: a number, or several.

    Returns:
        A row for each image, (B,) or (B, ...), of the type that `score` gives.
    """
    scored = [(part.images, part.pixel_fraction, score(part)) for part in parts]
    first = scored[0][2]
    total = first.new_zeros((max(images.stop for images, _, _ in scored), *first.shape[1:]))
    for images, share, mean in scored:
        total[images] += mean * share
    return total


class _ClassMaps(Protocol):
    """What of `Outputs` a block is made of."""

    @property
    def log_p_BCHW(self) -> Tensor: ...
    @property
    def log_p_mirror_BCHW(self) -> Tensor: ...


@dataclass(frozen=True)
class _Whole:
    """A batch as one block."""

    outputs: _ClassMaps
    pixel_fraction: float = 1.0

    @property
    def images(self) -> slice:
        return slice(0, len(self.log_p_BCHW))

    @property
    def log_p_BCHW(self) -> Tensor:
        return self.outputs.log_p_BCHW

    @property
    def log_p_mirror_BCHW(self) -> Tensor:
        return self.outputs.log_p_mirror_BCHW


@dataclass(frozen=True)
class _Map:
    log_p_BCHW: Tensor

    @property
    def log_p_mirror_BCHW(self) -> Tensor:
        raise AttributeError("a class map has no mirror image")


def whole(log_p_BCHW: Tensor) -> Sequence[Block]:
    """A class map as one block."""
    return [_Whole(_Map(log_p_BCHW))]


def blocks_of(outputs: Outputs) -> Iterable[Block]:
    """The outputs in blocks; as one block where they come whole only, as in a test of a method."""
    blocks: Iterable[Block] | None = getattr(outputs, "blocks", None)
    return [_Whole(outputs)] if blocks is None else blocks


def passes_of(outputs: Outputs) -> Iterator[Iterable[Block]]:
    """The dropout passes, each in equal blocks; made while iterating."""
    passes: Iterable[Iterable[Block]] | None = getattr(outputs, "block_passes", None)
    if passes is None:
        passes = (whole(log_p_BCHW) for log_p_BCHW in outputs.log_p_passes)
    yield from passes
