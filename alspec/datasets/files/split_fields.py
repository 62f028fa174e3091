"""What a spec says of a tree's halves, which images measure, and how image files are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from alspec.datasets.files.naming import RelativeFolder
from alspec.spec.fields import PathText
from alspec.spec.model import Frozen
from alspec.spec.validation import distinct, failure


class Half(Frozen):
    """The two folders of a split, relative to `root`."""

    images: RelativeFolder = Field(description="folder of the images, below `root`")
    masks: RelativeFolder = Field(description="folder of their masks, below `root`")


class ValSequences(Frozen):
    """Whole sequences of the tree that measure."""

    sequences: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(min_length=1, description="names, as `sequence` finds them in the files' names"),
        distinct("sequence"),
    ]


class ValFraction(Frozen):
    """A share of the images for validation, sampled by whole sequences."""

    fraction: float = Field(gt=0, lt=1, description="of all images")
    seed: int = Field(default=0, ge=0, description="draws the sequences")


class SplitLists(Frozen):
    """Text files that name the images of each half, one a line."""

    train: PathText = Field(description="list of the pool's images, below `root` or not")
    val: PathText = Field(description="list of the images that measure")


def _val_of_its_form(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    if "sequences" in value:
        return ValSequences.model_validate(value)
    if "fraction" in value:
        return ValFraction.model_validate(value)
    if "list" in value:
        why = (
            "unknown key. Known: images, masks, sequences, fraction; lists of images go beside "
            "`val`, as `split: {train: train.txt, val: val.txt}`"
        )
        raise failure("val", value["list"], ("list",), {"why": why})
    return Half.model_validate(value)


AnyVal: TypeAlias = Annotated[
    Half | ValSequences | ValFraction | None, BeforeValidator(_val_of_its_form)
]


def _one_group(sequence: str) -> str:
    try:
        groups = re.compile(sequence).groups
    except re.error as err:
        raise PydanticCustomError(
            "sequence", "it is not a regular expression: {why}", {"why": str(err)}
        ) from err
    if groups != 1:
        raise PydanticCustomError(
            "sequence",
            "it has {groups} groups; put the part that names the video, and nothing else, in "
            "round brackets, as in `^(.*)_`, and write other brackets `(?:...)`",
            {"groups": groups},
        )
    return sequence


SequencePattern: TypeAlias = Annotated[str, AfterValidator(_one_group)]


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if not values[0] < values[1]:
        raise PydanticCustomError("range", "expected the lower value first, as [0, 4095]", {})
    return values


Band: TypeAlias = Annotated[int, Field(ge=1, le=64)]


class PixelFields(Frozen):
    """How image files that are no 8-bit RGB are read."""

    bands: tuple[Band, Band, Band] | None = Field(
        default=None, description="the bands that are red, green and blue, counted from 1"
    )
    range: Annotated[tuple[float, float], AfterValidator(_rising)] | None = Field(
        default=None,
        description="values of 16-bit grey images that become black and white, as [0, 4095]",
    )
