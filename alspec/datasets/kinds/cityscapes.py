"""The dataset kind `cityscapes`: leftImg8bit and gtFine as they are downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic import Field

from alspec.datasets.base import IGNORE, Mask, Split
from alspec.datasets.cityscapes19 import Label
from alspec.datasets.files.decoding import read_labels
from alspec.datasets.files.label_maps import ValueTable
from alspec.datasets.files.listing import Files, Pair, Tree, list_pairs, no_root
from alspec.datasets.files.paired import PairedFiles, RootedSpec
from alspec.spec.model import DatasetSpec

IMAGES = "leftImg8bit"
MASKS = "gtFine"
IMAGE_END = "_leftImg8bit.png"
SPLITS = {Split.POOL: "train", Split.VAL: "val"}

LABEL_IDS = {
    Label.ROAD: 7,
    Label.SIDEWALK: 8,
    Label.BUILDING: 11,
    Label.WALL: 12,
    Label.FENCE: 13,
    Label.POLE: 17,
    Label.TRAFFIC_LIGHT: 19,
    Label.TRAFFIC_SIGN: 20,
    Label.VEGETATION: 21,
    Label.TERRAIN: 22,
    Label.SKY: 23,
    Label.PERSON: 24,
    Label.RIDER: 25,
    Label.CAR: 26,
    Label.TRUCK: 27,
    Label.BUS: 28,
    Label.TRAIN: 31,
    Label.MOTORCYCLE: 32,
    Label.BICYCLE: 33,
}
"""The id in `labelIds` files of each class that is trained; the other ids count for nothing."""

_TABLES = {
    "labelIds": ValueTable(
        dict.fromkeys(range(34), IGNORE)
        | {value: int(label) for label, value in LABEL_IDS.items()},
        "labelIds are 0 to 33, and 255. Restore the file, or set `labels: labelTrainIds`",
    ),
    "labelTrainIds": ValueTable(
        {int(label): int(label) for label in Label},
        "labelTrainIds are 0 to 18, and 255. Restore the file, or set `labels: labelIds`",
    ),
}


def mask_end(labels: str) -> str:
    """How the names of mask files end."""
    return f"_{MASKS}_{labels}.png"


class Spec(RootedSpec):
    """Cityscapes' official tree, 19 classes."""

    HOLDS: ClassVar[str] = f"`{IMAGES}` and `{MASKS}`"

    kind: Literal["cityscapes"] = Field(description="the official tree of Cityscapes")
    labels: Literal["auto", "labelIds", "labelTrainIds"] = Field(
        default="auto", description="the mask files to read; auto: labelIds where they are there"
    )


_Spec: TypeAlias = Spec  # in the class below, `Spec` is its attribute


class Cityscapes(PairedFiles):
    """Cityscapes (Cordts et al., 2016): train is the pool, val measures, 19 classes."""

    kind: ClassVar[str] = "cityscapes"
    Spec: ClassVar[type[DatasetSpec]] = Spec
    spec: _Spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The 19 class names in the order of their train ids."""
        return tuple(label.words for label in Label)

    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split in time order. Raises DataError, all problems at once."""
        images, masks = (f"{folder}/{SPLITS[split]}" for folder in (IMAGES, MASKS))
        if not (self.root / images).is_dir() or not (self.root / masks).is_dir():
            raise no_root(self.root, f"`{images}` and `{masks}`")
        labels: str = self.spec.labels
        if labels == "auto":
            labels = self._labels_there(masks)
        tree = Tree(
            root=self.root,
            images=_files(images, IMAGE_END),
            masks=_files(masks, mask_end(labels)),
            sequence=_sequence,
            no_video=lambda key: f"`{key}` is not named as <city>/<city>_<sequence>_<frame>",
        )
        return list_pairs(tree)

    def read_mask_file(self, path: Path) -> Mask:
        """A mask file as train ids and `IGNORE`, (H, W). Raises DataError naming the file."""
        labels = next(labels for labels in _TABLES if path.name.endswith(mask_end(labels)))
        return _TABLES[labels].apply(read_labels(path), path)

    def _labels_there(self, masks: str) -> str:
        """The kind of mask files that a split has; labelIds come with the download."""
        for labels in _TABLES:
            if next((self.root / masks).glob(f"*/*{mask_end(labels)}"), None) is not None:
                return labels
        return "labelIds"


def _files(folder: str, end: str) -> Files:
    def key(path: str) -> str | None:
        return path.removeprefix(f"{folder}/").removesuffix(end) if path.endswith(end) else None

    return Files((folder,), key, lambda key: f"{folder}/{key}{end}", f"*{end} in this folder")


def _sequence(key: str) -> str | None:
    """`aachen/aachen_000003_000019` is of the sequence `aachen_000003`."""
    parts = key.rpartition("/")[2].rsplit("_", 2)
    return f"{parts[0]}_{parts[1]}" if len(parts) == 3 else None
