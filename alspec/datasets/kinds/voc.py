"""The dataset kind `voc`: PASCAL VOC 2012 as downloaded, with SBD's labels for train_aug."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field, ValidatorFunctionWrapHandler, field_validator

from alspec.datasets.base import Frame, ImageId, Mask, Split
from alspec.datasets.files.contents import ListedFile
from alspec.datasets.files.decoding import Labels
from alspec.datasets.files.label_fields import LabelFields, MaskReader, with_colours_read
from alspec.datasets.files.label_maps import ValueTable
from alspec.datasets.files.listing import Pair, capped, no_root
from alspec.datasets.files.paired import PairedFiles, RootedSpec
from alspec.errors import DataError, Problem, grouped
from alspec.spec.model import DatasetSpec
from alspec.system.reading import read_text_file

IMAGES = "JPEGImages"
MASKS = "SegmentationClass"
AUGMENTED_MASKS = "SegmentationClassAug"
LISTS = "ImageSets/Segmentation"
HOMES = ("VOCdevkit/VOC2012", "VOC2012", ".")

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

_AUGMENTED_LISTS = ("train_aug.txt", "trainaug.txt")
_SBD = (
    "dataset", "benchmark_RELEASE/dataset", "SBD/dataset", "sbd/dataset", "SBD", "sbd",
    "VOCaug/dataset", "VOCaug",
)  # fmt: skip
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_MEANING = "VOC has classes 0 to 20, and 255 counts for nothing. Restore the file from the download"
ListName: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", min_length=1, max_length=80)
]


class Spec(LabelFields, RootedSpec):
    """VOC 2012's official tree, or one's own of that layout.

    The root is VOC2012, VOCdevkit or the folder that holds it.
    """

    HOLDS: ClassVar[str] = "`VOCdevkit/VOC2012`"
    VALIDATION_ONLY: ClassVar[frozenset[str]] = frozenset({"val"})
    LATER: ClassVar[frozenset[str]] = RootedSpec.LATER | {
        "classes", "values", "colours", "ignore", "val",
    }  # fmt: skip

    kind: Literal["voc"] = Field(description="the official tree of PASCAL-VOC 2012")
    train: ListName = Field(
        default="train_aug",
        description="train_aug: VOC's and SBD's 10,582 images; train: VOC's own 1,464; or the "
        "name of another list in ImageSets/Segmentation",
    )
    val: ListName = Field(default="val", description="the list of the images that measure")

    @field_validator("classes", mode="wrap")
    @classmethod
    def _none_are_vocs(cls, given: object, handler: ValidatorFunctionWrapHandler) -> object:
        return handler(given) if given not in ((), []) else ()  # as a spec comes back from JSON

    @property
    def class_names(self) -> tuple[str, ...]:
        """VOC's 21 classes, where the spec names no others."""
        return super().class_names or CLASSES

    def resolved(self) -> Spec:
        """The spec with its colour file read."""
        changes = with_colours_read(self, self.root)
        return self.model_copy(update=changes) if changes else self


_Spec: TypeAlias = Spec  # in the class below, `Spec` is its attribute


class Voc(PairedFiles):
    """PASCAL VOC 2012 (Everingham et al.) with SBD (Hariharan et al., 2011), 21 classes."""

    kind: ClassVar[str] = "voc"
    Spec: ClassVar[type[DatasetSpec]] = Spec
    spec: _Spec

    def __init__(self, spec: _Spec) -> None:
        super().__init__(spec)
        self._masks = MaskReader(spec, None if spec.classes else _MEANING)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, VOC's 21 or the spec's."""
        return self.spec.class_names

    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split by name; images that are no video are one sequence.

        Raises:
            DataError: all problems at once.
        """
        homes = (self.root / home for home in HOMES)
        home = next((home for home in homes if (home / IMAGES).is_dir()), None)
        if home is None:
            raise no_root(self.root, f"`{HOMES[0]}`, or is it, with `{IMAGES}` and `{LISTS}`")
        sbd = _sbd(self.root, home)
        names = self._names(split, home, sbd)
        images = _by_stem(home / IMAGES)
        problems: list[Problem] = []
        pairs = [
            pair
            for name in sorted(names)
            for pair in _paired(name, images.get(name, f"{name}.jpg"), home, sbd, problems)
        ]
        if problems:
            raise DataError(capped(self.root, grouped(problems)))
        return pairs

    def read_mask_file(self, path: Path) -> Mask:
        """A palette PNG or SBD's .mat as class ids and `IGNORE`, (H, W).

        Raises:
            DataError: naming the file.
        """
        if path.suffix == ".mat":
            return _SBD_TABLE.apply(_read_mat(path), path)
        return self._masks.read(path)

    def _names(self, split: Split, home: Path, sbd: Path | None) -> set[str]:
        lists = home / LISTS
        if split is Split.VAL:
            return _read_names(lists / f"{self.spec.val}.txt", ("val",))
        if self.spec.train != "train_aug":
            return _read_names(lists / f"{self.spec.train}.txt", ("train",))
        ready = next((lists / name for name in _AUGMENTED_LISTS if (lists / name).is_file()), None)
        if ready is not None:
            return _read_names(ready)
        if sbd is None:
            what = (
                "there is no such list, and no SBD to make it of. Put SBD's folder `dataset`, with "
                "`cls`, train.txt and val.txt, beside or into VOC2012, or set `train: train`, or "
                "the name of your own list"
            )
            raise DataError([Problem(str((lists / _AUGMENTED_LISTS[0]).absolute()), what)])
        with_sbd = _read_names(sbd / "train.txt") | _read_names(sbd / "val.txt")
        return (_read_names(lists / "train.txt") | with_sbd) - _read_names(lists / "val.txt")


_SBD_TABLE = ValueTable({value: value for value in range(len(CLASSES))}, _MEANING)


def _sbd(root: Path, home: Path) -> Path | None:
    """SBD's folder with `cls`, if it is at one of the places where people put it."""
    places = (base / name for base in (root, home, home.parent) for name in _SBD)
    return next((place for place in places if (place / "cls").is_dir()), None)


def _by_stem(folder: Path) -> dict[str, str]:
    """Name without extension to the file's name, of the images in a folder."""
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for name in sorted(entry.name for entry in entries):
            stem, end = os.path.splitext(name)  # noqa: PTH122 - 10,000 Path objects are slow
            if end in _IMAGE_SUFFIXES:
                found.setdefault(stem, name)
    return found


def _read_names(path: Path, loc: tuple[str, ...] = ()) -> set[str]:
    """The first word of each line; of a path, as DeepLab's lists have them, the name.

    An image's extension is taken off, and nothing else: `x_jpg.rf.0a1b` is a name.
    """
    try:
        lines = read_text_file(path).splitlines()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        what = f"the list cannot be read: {reason}"
        if path.parent.is_dir():
            there = sorted(each.stem for each in path.parent.glob("*.txt"))
            what += f". Lists that are there: {', '.join(there) or 'none'}"
        raise DataError([Problem(str(path.absolute()), what, loc=loc)]) from err
    words = [line.split()[0].rpartition("/")[2] for line in lines if line.strip()]
    names = {
        os.path.splitext(word)[0] if word.endswith(_IMAGE_SUFFIXES) else word  # noqa: PTH122
        for word in words
    }
    if not names:
        raise DataError.at(path.absolute(), "the list names no image; restore it")
    return names


def _paired(
    name: str, file: str, home: Path, sbd: Path | None, problems: list[Problem]
) -> Iterator[Pair]:
    """The image of a name and the best of its masks: VOC's own, then PNG of SBD, then .mat."""
    image = home / IMAGES / file
    masks = [
        (home / folder / f"{name}.png", f"{folder}/{name}.png")
        for folder in (MASKS, AUGMENTED_MASKS)
    ]
    if sbd is not None:
        masks.append((sbd / "cls" / f"{name}.mat", f"cls/{name}.mat"))
    image_state = _state(image)
    found = next(
        (
            ListedFile(label, str(path), state, path.is_symlink())
            for path, label in masks
            if (state := _state(path)) is not None
        ),
        None,
    )
    if image_state is None:
        what = f"there is no such image, but a list in `{LISTS}` names it; restore one of the two"
        problems.append(Problem(str(image), what))
    if found is None:
        places = ", ".join(str(path) for path, _ in masks[1:])
        what = f"there is no such mask, nor {places}; a list in `{LISTS}` names its image"
        problems.append(Problem(str(masks[0][0]), what))
    if image_state is not None and found is not None:
        frame = Frame(ImageId(f"{IMAGES}/{file}"), "")
        yield Pair(frame, ListedFile(frame.id, str(image), image_state, image.is_symlink()), found)


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _read_mat(path: Path) -> Labels:
    """The class ids in SBD's MATLAB structure `GTcls.Segmentation`."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"]
        labels = np.asarray(found[0, 0])
    except Exception as err:
        what = (
            f"it is not SBD's `GTcls`, or it is damaged ({type(err).__name__}: {err}); restore it"
        )
        raise DataError.at(path, what) from err
    if labels.ndim != 2 or labels.dtype != np.uint8:
        what = f"`GTcls.Segmentation` is {labels.dtype} of shape {labels.shape}, not 8-bit labels"
        raise DataError.at(path, what)
    return labels
