"""The dataset kind `toy`: driving-like video with masks, rendered from a seed; no files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from alspec.datasets.base import IGNORE, Frame, Image, ImageId, Mask, Split
from alspec.datasets.cityscapes19 import Label
from alspec.datasets.synthetic.render import view
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec, Size
from alspec.spec.validation import distinct, nearest

GENERATOR = 1
"""Raised when the same spec is rendered differently; part of the fingerprint."""

MOST_FRAMES = 1_000_000
"""In a split."""

_ID = re.compile(r"(pool|val)/seq([0-9]{2})/([0-9]{6})")
_NUMBERS = {Split.POOL: 0, Split.VAL: 1}
_LABELS = {label.words: label for label in Label}


def _drawn(name: str) -> str:
    """The name, if a street has such a class."""
    if name not in _LABELS:
        meant = nearest(name, _LABELS)
        hint = f"Did you mean `{meant}`? " if meant else ""
        raise PydanticCustomError(
            "toy_class",
            "no class `{name}` is rendered. {hint}There are: {known}",
            {"name": name, "hint": hint, "known": ", ".join(_LABELS)},
        )
    return name


_DrawnClass: TypeAlias = Annotated[str, AfterValidator(_drawn)]


class Spec(DatasetSpec):
    """How much video is rendered; each sequence is a drive along a street of its own."""

    LATER: ClassVar[frozenset[str]] = DatasetSpec.LATER | {"classes"}

    kind: Literal["toy"] = Field(description="generated images")
    root: None = Field(default=None, description="a toy has no files")
    image_size: Size = Field(description="height, width that images are rendered at")
    sequences: int = Field(default=6, ge=1, le=100, description="streets of the pool")
    frames: int = Field(default=40, ge=1, le=1_000_000, description="in each sequence")
    val_sequences: int = Field(default=2, ge=1, le=100, description="streets to measure on")
    val_frames: int = Field(default=20, ge=1, le=1_000_000, description="in each sequence")
    seed: int = Field(default=0, ge=0, description="renders the streets")
    classes: Annotated[tuple[_DrawnClass, ...], Field(min_length=2), distinct("class")] | None = (
        Field(
            default=None,
            description="those of Cityscapes' 19 that have labels, the others' pixels are ignored; "
            "none: all 19",
        )
    )

    @model_validator(mode="after")
    def _few_enough(self) -> Spec:
        """Each frame is listed: a hundred million would take the memory of a large machine."""
        frames = self.sequences * self.frames, self.val_sequences * self.val_frames
        if max(frames) > MOST_FRAMES:
            raise PydanticCustomError(
                "frames",
                "{frames} frames are rendered in a split; at most {most}: lower `sequences` or "
                "`frames`",
                {"frames": f"{max(frames):,}", "most": f"{MOST_FRAMES:,}"},
            )
        return self


_Spec: TypeAlias = Spec  # in the class below, `Spec` is its attribute


class Toy:
    """Streets rendered from a seed, with Cityscapes' 19 classes.

    Neighbouring frames are near-copies, sequences differ in layout, colours and light, and a rare
    class is in every second sequence only, so that it matters which images are labelled.
    """

    kind: ClassVar[str] = "toy"
    Spec: ClassVar[type[DatasetSpec]] = Spec

    def __init__(self, spec: _Spec) -> None:
        self.spec = spec
        self._ids = np.full(len(Label), IGNORE, np.uint8)
        self._ids[[_LABELS[name] for name in self.classes]] = np.arange(len(self.classes))

    @property
    def classes(self) -> tuple[str, ...]:
        """The spec's class names, else Cityscapes' in the order of its train ids."""
        return self.spec.classes or tuple(_LABELS)

    def frames(self, split: Split) -> tuple[Frame, ...]:
        """All frames of a split: `pool/seq03/000017` is frame 17 of sequence `pool/seq03`."""
        sequences, frames = self._counts(split)
        return tuple(
            Frame(ImageId(f"{name}/{frame:06d}"), name)
            for name in (f"{split.value}/seq{sequence:02d}" for sequence in range(sequences))
            for frame in range(frames)
        )

    def fingerprint(self, split: Split) -> str:
        """SHA-256 over the generator's version and all that changes what it draws."""
        sequences, frames = self._counts(split)
        fields: dict[str, object] = {
            "generator": GENERATOR,
            "split": split.value,
            "seed": self.spec.seed,
            "sequences": sequences,
            "frames": frames,
            "image_size": list(self.spec.image_size),
        }
        if self.spec.classes:
            fields["classes"] = list(self.spec.classes)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def read_image(self, image: ImageId) -> Image:
        """The image, rendered at the spec's image size, (H, W, 3)."""
        return self._draw(image)[0]

    def read_mask(self, image: ImageId) -> Mask:
        """The labels, rendered at the spec's image size, (H, W); `IGNORE` for other classes."""
        return self._ids[self._draw(image)[1]]

    def check(self) -> Iterator[Sequence[Problem]]:
        """Nothing can be wrong; yields once for each image."""
        for split in Split:
            for _ in self.frames(split):
                yield ()

    def _counts(self, split: Split) -> tuple[int, int]:
        if split is Split.POOL:
            return self.spec.sequences, self.spec.frames
        return self.spec.val_sequences, self.spec.val_frames

    def _draw(self, image: ImageId) -> tuple[Image, Mask]:
        found = _ID.fullmatch(image)
        if found:
            split, sequence, frame = Split(found[1]), int(found[2]), int(found[3])
            sequences, frames = self._counts(split)
            if sequence < sequences and frame < frames:
                return view(self.spec.seed, _NUMBERS[split], sequence, frame, self.spec.image_size)
        raise DataError.at(
            self.spec.name, f"toy has no image `{image}`; raise `sequences` or `frames`"
        )
