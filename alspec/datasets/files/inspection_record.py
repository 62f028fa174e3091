"""An inspection as JSON, on its way from the process that read the image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypedDict, cast

import numpy as np

from alspec.datasets.base import IGNORE
from alspec.datasets.files.inspection import THUMBNAIL, Inspection
from alspec.errors import Problem


class _ProblemFields(TypedDict):
    """The fields of a `Problem`; from JSON lists in place of tuples."""

    where: str
    what: str
    excerpt: str
    loc: tuple[str | int, ...]
    against: tuple[tuple[str | int, ...], ...]
    waits_for_labels: bool


@dataclass(frozen=True, slots=True)
class InspectionRecord:
    """An `Inspection` of plain data.

    Attributes:
        size: height and width.
        pixels: of each mask value that occurs, by the value as text.
        thumbnail: its bytes in hexadecimal.
        problems: the fields of each.
        digests: of image and mask file, in hexadecimal.
    """

    size: tuple[int, int] | None
    pixels: Mapping[str, int] | None
    thumbnail: str | None
    problems: Sequence[_ProblemFields]
    digests: tuple[str, str] | None

    @classmethod
    def of(cls, found: Inspection) -> InspectionRecord:
        """The record of an inspection."""
        pixels = None
        if found.pixels is not None:
            (values,) = found.pixels.nonzero()
            pixels = {str(value): int(found.pixels[value]) for value in values}
        return cls(
            size=found.size,
            pixels=pixels,
            thumbnail=None if found.thumbnail is None else found.thumbnail.tobytes().hex(),
            problems=[cast("_ProblemFields", asdict(problem)) for problem in found.problems],
            digests=found.digests and (found.digests[0].hex(), found.digests[1].hex()),
        )

    def inspection(self) -> Inspection:
        """The inspection that this is the record of."""
        pixels, thumbnail, digests = None, None, None
        if self.pixels is not None:
            pixels = np.zeros(IGNORE + 1, np.int64)
            pixels[[int(value) for value in self.pixels]] = list(self.pixels.values())
        if self.thumbnail is not None:
            small = np.frombuffer(bytes.fromhex(self.thumbnail), np.uint8)
            thumbnail = small.reshape(*THUMBNAIL, 3)
        if self.digests is not None:
            image, mask = map(bytes.fromhex, self.digests)
            digests = image, mask
        size = self.size and (self.size[0], self.size[1])
        return Inspection(size, pixels, thumbnail, tuple(map(_problem, self.problems)), digests)


def _problem(fields: _ProblemFields) -> Problem:
    problem = Problem(**fields)
    loc, against = tuple(problem.loc), tuple(map(tuple, problem.against))
    return replace(problem, loc=loc, against=against)


def encode_line(found: Sequence[Inspection]) -> bytes:
    """Inspections as a line of JSON."""
    return json.dumps([asdict(InspectionRecord.of(one)) for one in found]).encode() + b"\n"


def decode_line(line: bytes) -> list[Inspection]:
    """The inspections of a line. Raises ValueError or TypeError for anything else."""
    try:
        return [InspectionRecord(**fields).inspection() for fields in json.loads(line)]
    except (LookupError, AttributeError) as err:
        raise ValueError(f"not an inspection ({err})") from err
