"""The dataset kind `voc`: PASCAL VOC 2012 as downloaded, with SBD's labels for train_aug."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from alspec.datasets.base import Frame, ImageId, Mask, Split
from alspec.datasets.files.contents import ListedFile
from alspec.datasets.files.decoding import Labels, read_labels
from alspec.datasets.files.label_maps import ValueTable
from alspec.datasets.files.listing import Pair, capped, no_root
from alspec.datasets.files.paired import PairedFiles, RootedSpec
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec

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
_SBD = ("dataset", "benchmark_RELEASE/dataset", "SBD/dataset", "sbd/dataset", "SBD", "sbd")
_TABLE = ValueTable(
    {value: value for value in range(len(CLASSES))},
    "VOC has classes 0 to 20, and 255 counts for nothing. Restore the file from the download",
)


class Spec(RootedSpec):
    """VOC 2012's official tree; the root is VOC2012, VOCdevkit or the folder that holds it."""

    HOLDS: ClassVar[str] = "`VOCdevkit/VOC2012`"

    kind: Literal["voc"]
    train: Literal["train_aug", "train"] = Field(
        default="train_aug",
        description="train_aug: VOC's and SBD's 10,582 images; train: VOC's own 1,464",
    )


class Voc(PairedFiles):
    """PASCAL VOC 2012 (Everingham et al.) with SBD (Hariharan et al., 2011), 21 classes."""

    kind: ClassVar[str] = "voc"
    Spec: ClassVar[type[DatasetSpec]] = Spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The 21 class names, background first."""
        return CLASSES

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
        problems: list[Problem] = []
        pairs = [pair for name in sorted(names) for pair in _paired(name, home, sbd, problems)]
        if problems:
            raise DataError(capped(self.root, problems))
        return pairs

    def read_mask_file(self, path: Path) -> Mask:
        """A palette PNG or SBD's .mat as class ids and `IGNORE`, (H, W).

        Raises:
            DataError: naming the file.
        """
        labels = _read_mat(path) if path.suffix == ".mat" else read_labels(path)
        return _TABLE.apply(labels, path)

    def _names(self, split: Split, home: Path, sbd: Path | None) -> set[str]:
        lists = home / LISTS
        if split is Split.VAL:
            return _read_names(lists / "val.txt")
        if self.spec.train == "train":
            return _read_names(lists / "train.txt")
        ready = next((lists / name for name in _AUGMENTED_LISTS if (lists / name).is_file()), None)
        if ready is not None:
            return _read_names(ready)
        if sbd is None:
            what = (
                "there is no such list, and no SBD to make it of. Put SBD's folder `dataset`, with "
                "`cls`, train.txt and val.txt, beside or into VOC2012, or set `train: train`"
            )
            raise DataError([Problem(str((lists / _AUGMENTED_LISTS[0]).absolute()), what)])
        with_sbd = _read_names(sbd / "train.txt") | _read_names(sbd / "val.txt")
        return (_read_names(lists / "train.txt") | with_sbd) - _read_names(lists / "val.txt")


def _sbd(root: Path, home: Path) -> Path | None:
    """SBD's folder with `cls`, if it is at one of the places where people put it."""
    places = (base / name for base in (root, home, home.parent) for name in _SBD)
    return next((place for place in places if (place / "cls").is_dir()), None)


def _read_names(path: Path) -> set[str]:
    """The first word of each line; of a path, as DeepLab's lists have them, the name."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise DataError(
            [Problem(str(path.absolute()), f"the list cannot be read: {reason}")]
        ) from err
    names = {Path(line.split()[0]).stem for line in lines if line.strip()}
    if not names:
        raise DataError.at(path.absolute(), "the list names no image; restore it")
    return names


def _paired(name: str, home: Path, sbd: Path | None, problems: list[Problem]) -> Iterator[Pair]:
    """The image of a name and the best of its masks: VOC's own, then PNG of SBD, then .mat."""
    image = home / IMAGES / f"{name}.jpg"
    masks = [
        (home / folder / f"{name}.png", f"{folder}/{name}.png")
        for folder in (MASKS, AUGMENTED_MASKS)
    ]
    if sbd is not None:
        masks.append((sbd / "cls" / f"{name}.mat", f"cls/{name}.mat"))
    image_state = _state(image)
    found = next(
        (
            ListedFile(label, str(path), state)
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
        frame = Frame(ImageId(f"{IMAGES}/{name}.jpg"), "")
        yield Pair(frame, ListedFile(frame.id, str(image), image_state), found)


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _read_mat(path: Path) -> Labels:
    """The class ids in SBD's MATLAB structure `GTcls.Segmentation`."""
    from scipy.io import loadmat

    try:
        found: Any = loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"]
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
