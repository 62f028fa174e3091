"""Opens the dataset that a spec describes."""

from __future__ import annotations

from alspec import plugins
from alspec.datasets.base import Dataset, ImageId, Split
from alspec.datasets.pools.duplicates import Augmented, duplicates_of
from alspec.spec.model import AugmentedFrames, DatasetSpec


def dataset_kind(name: str) -> type[Dataset]:
    """The class of a dataset kind. Raises PluginError naming the packages."""
    kind: type[Dataset] = plugins.load("alspec.datasets", name)
    return kind


def open_dataset(spec: DatasetSpec, opened: dict[str, Dataset] | None = None) -> Dataset:
    """The dataset that a validated spec describes; touches no image yet.

    With the redundancy `augmented` it can also read the duplicates that the pool is made of.

    Args:
        spec: the dataset.
        opened: remembers datasets from call to call, so that several pools of one tree list it
            once; the caller then reads from its own spec which pool it is.

    Raises:
        DataError: a small file that the spec names, such as a label map, cannot be read.
    """
    opened = {} if opened is None else opened
    spec = spec.resolved()
    tree = repr((spec.root, spec.recipe_fields("redundancy")))
    if tree not in opened:
        opened[tree] = dataset_kind(spec.kind)(spec)
    dataset = opened[tree]
    if isinstance(spec.redundancy, AugmentedFrames):
        return Augmented(dataset, spec.redundancy)
    return dataset


def pixels_identity(spec: DatasetSpec) -> str:
    """Equal for two specs that give the same pixels and labels to the same ids on this machine."""
    return repr((spec.root, pixels_fields(spec)))


def pixels_fields(spec: DatasetSpec) -> dict[str, object]:
    """What decides pixels and labels beside the files themselves, as plain data."""
    apart = () if isinstance(spec.redundancy, AugmentedFrames) else ("redundancy",)
    fields = spec.recipe_fields(*apart)
    return {**fields, "contents": dict(spec.revisions)} if spec.revisions else fields


def all_images(dataset: Dataset) -> list[ImageId]:
    """Every image that a dataset can read, duplicates included, always in the same order."""
    frames = [frame for split in Split for frame in dataset.frames(split)]
    images = [frame.id for frame in frames]
    redundancy = dataset.spec.redundancy
    if isinstance(redundancy, AugmentedFrames):
        pool = dataset.frames(Split.POOL)
        made = (duplicates_of(frame, redundancy.duplicates) for frame in pool)
        images += [duplicate.id for duplicates in made for duplicate in duplicates]
    return images
