"""What a folder of images without masks, or with a few, seems to be: the spec of a project."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from alspec.datasets.files.listing import IMAGE_SUFFIXES
from alspec.datasets.proposal import (
    ON_CPU,
    ON_GPU,
    ImageFolder,
    guess_classes,
    guess_sequence,
    guess_size,
    holds_masks,
    image_folders,
    paired_folders,
    yaml_text,
)
from alspec.spec.templates import template, with_values

NAME = "project.yaml"


@dataclass(frozen=True, slots=True)
class ProjectProposal:
    """A project's spec, and what a person should look at.

    Attributes:
        text: YAML.
        notes: what was found, and what could not be decided.
    """

    text: str
    notes: tuple[str, ...]


def propose_project(root: Path, *, gpu: bool = False) -> ProjectProposal | None:
    """Look at a tree of images of which none or some have masks.

    Args:
        root: an existing folder.
        gpu: whether trainings will run on a GPU; a CPU gets a small model at a small size.

    Returns:
        The spec; None for a tree that is a study's: every image has its mask.
    """
    folders = list(image_folders(root))
    if any(paired_folders(folders)):
        return None
    masks = [folder for folder in folders if _are_masks(folder, folders)]
    above = [folder for folder in folders if any(_nested(folder, mask) for mask in masks)]
    images = _largest([folder for folder in folders if folder not in above])
    name = re.sub("[^A-Za-z0-9]+", "-", root.resolve().name).strip("-") or "my-data"
    values = {"project": name, "name": name, "root": yaml_text(str(root))}
    values |= ON_GPU if gpu else ON_CPU
    if images is None:
        return ProjectProposal(with_values(template("project"), values), (_nothing(root),))
    own = [folder for folder in masks if folder.files.keys() <= images.files.keys()]
    labelled = max(own, key=lambda folder: len(folder.files), default=None)
    notes = [f"{len(images.files)} images in {images.path}"]
    values["images"] = yaml_text(images.path)
    if labelled is not None:
        values["masks"] = yaml_text(labelled.path)
        notes.append(f"{len(labelled.files)} of them have masks in {labelled.path}")
        guesses = [("classes", guess_classes(labelled))]
    else:
        values["masks"] = _free_name(root)
        notes.append(f"none has a mask; masks will be written to {values['masks']}")
        notes.append("name your classes in `classes`; the first is value 0 in the masks")
        guesses = []
    guesses += [
        ("image_size", guess_size(images, 256 if gpu else 96)),
        ("sequence", guess_sequence(tuple(images.files))),
    ]
    for key, guess in guesses:
        for values[key], note in guess:
            notes.append(note)
    return ProjectProposal(with_values(template("project"), values), tuple(notes))


def _are_masks(folder: ImageFolder, folders: Sequence[ImageFolder]) -> bool:
    """Files of one band whose names are among another folder's."""
    others = [other for other in folders if not _nested(folder, other)]
    return holds_masks(folder) and any(
        folder.files.keys() <= other.files.keys() for other in others
    )


def _nested(one: ImageFolder, other: ImageFolder) -> bool:
    first, second = PurePosixPath(one.path), PurePosixPath(other.path)
    return first.is_relative_to(second) or second.is_relative_to(first)


def _largest(folders: Sequence[ImageFolder]) -> ImageFolder | None:
    """The folder with most images, the uppermost of equal ones, those to measure on last."""

    def order(folder: ImageFolder) -> tuple[bool, int, int, str]:
        depth = len(PurePosixPath(folder.path).parts)
        return folder.is_val, -len(folder.files), depth, folder.path

    return min(folders, key=order, default=None)


def _free_name(root: Path) -> str:
    """A folder for masks that is not there, or empty."""
    for name in ("labels", "masks", "alspec_labels"):
        if not (root / name).exists() or not any((root / name).iterdir()):
            return name
    return "alspec_labels"


def _nothing(root: Path) -> str:
    loose = any(path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir())
    if loose:
        return "the images lie in the folder itself: put them into one of its own, as images/"
    return "no folder with images was found: set `images`, `masks` and `classes`"
