"""The dataset kind `a2d2`: camera_lidar_semantic as it is downloaded, colours to classes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field

from alspec.datasets.base import Mask, Split
from alspec.datasets.cityscapes19 import Colour, Label
from alspec.datasets.files.decoding import read_rgb
from alspec.datasets.files.label_maps import ColourTable
from alspec.datasets.files.listing import Files, Pair, Tree, list_pairs, no_root
from alspec.datasets.files.paired import PairedFiles, RootedSpec
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec
from alspec.spec.validation import distinct

TREE = "camera_lidar_semantic"
VALIDATION = "20180925_112730"
"""The sequence that measures; all others are the pool (paper, section 4)."""

Camera = Literal[
    "cam_front_center",
    "cam_front_left",
    "cam_front_right",
    "cam_rear_center",
    "cam_side_left",
    "cam_side_right",
]

CAMERAS: tuple[Camera, ...] = get_args(Camera)

RELEASE19 = (
    "drivable surface",
    "car",
    "bicycle",
    "pedestrian",
    "truck",
    "signal",
    "sign",
    "other ground",
    "nature",
    "sky",
    "building",
    "small vehicle",
    "barrier",
    "utility vehicle",
    "pole and sidebar",
    "lane marking",
    "guide object",
    "curb",
    "rest",
)
"""The classes behind the paper's numbers, in the order of their ids."""

CLASSES = {"release19": RELEASE19, "cityscapes19": tuple(label.words for label in Label)}

_SEQUENCE = re.compile(r"[0-9]{8}_[0-9]{6}")
_FILE = re.compile(
    r"(?P<sequence>[0-9]{8}_[0-9]{6})/(?P<what>camera|label)/(?P<camera>cam_[a-z_]+)/"
    r"(?P<drive>[0-9]+)_(?P=what)_(?P<short>[a-z]+)_(?P<frame>[0-9]+)\.png"
)


@cache
def colours() -> tuple[Mapping[str, str], ...]:
    """The rows of A2D2's 55 label colours: colour, name, and the class id in each map."""
    text = resources.files("alspec.datasets.kinds").joinpath("a2d2_classes.csv").read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def rgb(colour: str) -> Colour:
    """`#ff8000` as red, green, blue."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


@cache
def _table(class_map: str) -> ColourTable:
    meaning = (
        f"A2D2 has {len(colours())} label colours. Restore the file from the download; "
        "resizing a label with interpolation makes such colours"
    )
    return ColourTable({rgb(row["colour"]): int(row[class_map]) for row in colours()}, meaning)


class Spec(RootedSpec):
    """A2D2's semantic tree; the root is `camera_lidar_semantic` or the folder that holds it."""

    HOLDS: ClassVar[str] = f"`{TREE}`"

    kind: Literal["a2d2"] = Field(description="A2D2 as its authors publish it")
    class_map: Literal["release19", "cityscapes19"] = Field(
        default="release19",
        description="release19: the 19 classes behind the paper's numbers; cityscapes19: "
        "Cityscapes' classes, other colours count for nothing",
    )
    cameras: Annotated[tuple[Camera, ...], Field(min_length=1), distinct("camera")] = Field(
        default=CAMERAS, description="cameras whose frames are used"
    )


_Spec: TypeAlias = Spec  # in the class below, `Spec` is its attribute


class A2D2(PairedFiles):
    """A2D2 (Geyer et al., 2020): one sequence measures, the others are the pool, 19 classes."""

    kind: ClassVar[str] = "a2d2"
    Spec: ClassVar[type[DatasetSpec]] = Spec
    spec: _Spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The 19 class names of the spec's class map."""
        return CLASSES[self.spec.class_map]

    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split in time order. Raises DataError, all problems at once."""
        nested = self.root / TREE
        home = nested if nested.is_dir() else self.root
        sequences = _sequences(home)
        if not sequences:
            raise no_root(self.root, f"`{TREE}`, with folders of sequences as `{VALIDATION}`")
        if split is Split.VAL and VALIDATION not in sequences:
            what = f"the sequence `{VALIDATION}`, which measures results, is missing; download it"
            raise DataError([Problem(str(home.absolute()), what, loc=("root",))])
        chosen = [name for name in sequences if (name == VALIDATION) == (split is Split.VAL)]
        if not chosen:
            what = f"it holds no sequence besides `{VALIDATION}`, so nothing can be labelled"
            raise DataError([Problem(str(home.absolute()), what, loc=("root",))])
        tree = Tree(
            root=home,
            images=self._files(chosen, "camera"),
            masks=self._files(chosen, "label"),
            sequence=lambda key: key.rpartition("/")[0],
        )
        return list_pairs(tree)

    def read_mask_file(self, path: Path) -> Mask:
        """A label file as class ids and `IGNORE`, (H, W).

        Raises:
            DataError: naming the file, the unknown colours and their pixels.
        """
        return _table(self.spec.class_map).apply(read_rgb(path), path)

    def _files(self, sequences: Sequence[str], what: str) -> Files:
        cameras = self.spec.cameras

        def key(path: str) -> str | None:
            found = _FILE.fullmatch(path)
            if found is None or found["what"] != what or found["camera"] not in cameras:
                return None
            return "{sequence}/{camera}/{drive}_{short}_{frame}".format(**found.groupdict())

        def path(key: str) -> str:
            sequence, camera, name = key.split("/")
            drive, short, frame = name.split("_")
            return f"{sequence}/{what}/{camera}/{drive}_{what}_{short}_{frame}.png"

        return Files(
            folders=tuple(f"{sequence}/{what}" for sequence in sequences),
            key=key,
            path=path,
            what=f"*_{what}_*.png of {', '.join(cameras)} in the sequences' folders `{what}`",
        )


def _sequences(home: Path) -> tuple[str, ...]:
    """The folders named as sequences, sorted, which is their order in time."""
    if not home.is_dir():
        return ()
    found = (entry.name for entry in home.iterdir() if entry.is_dir())
    return tuple(sorted(name for name in found if _SEQUENCE.fullmatch(name)))
