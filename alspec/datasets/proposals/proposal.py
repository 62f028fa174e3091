"""What a folder seems to hold, as values for a spec template: a study, or a labelling project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alspec.datasets.kinds.cityscapes import IMAGES as CITYSCAPES_IMAGES
from alspec.datasets.kinds.cityscapes import MASKS as CITYSCAPES_MASKS
from alspec.datasets.kinds.voc import HOMES as VOC_HOMES
from alspec.datasets.kinds.voc import LISTS as VOC_LISTS
from alspec.datasets.proposals.choice import Choice, choose, masks_folder
from alspec.datasets.proposals.contents import (
    MOST_CLASSES,
    MaskContents,
    guess_sequence,
    proposed_size,
    read_contents,
    yaml_text,
)
from alspec.datasets.proposals.matching import Match
from alspec.datasets.proposals.survey import MOST_FILES, Survey, size_of, survey

_ON_GPU = {"model": "deeplabv3plus_r18"}
_ON_CPU = {
    "model": "deeplabv3plus_tiny",
    "training": "{epochs: 15, batch_size: 4, lr: 0.1, head_lr_factor: 1}",
}
_LONGEST_NAME = 80
_SHORT_ON_GPU, _SHORT_ON_CPU = 256, 96
_FIFTH = "{fraction: 0.2}"


@dataclass(frozen=True)
class Measuring:
    """Images to measure on.

    Attributes:
        words: which they are.
        value: `val` in YAML; None for none.
    """

    words: str
    value: str | None


@dataclass(frozen=True)
class Proposal:
    """A template and values for it, and what a person should look at.

    Attributes:
        template: its name; `project` for a labelling project.
        values: YAML by key; None for a key that is commented out.
        notes: what was found, and what could not be decided.
        contents: what the masks hold; None where there are none.
        measuring: what the model can be measured on, the proposed first.
    """

    template: str
    values: Mapping[str, str | None]
    notes: tuple[str, ...] = ()
    contents: MaskContents | None = None
    measuring: tuple[Measuring, ...] = ()

    @property
    def is_project(self) -> bool:
        """Whether it is a labelling project."""
        return self.template == "project"

    @property
    def has_names(self) -> bool:
        """Whether the classes have names of their own already."""
        if self.contents is None:
            return not (self.is_project or self.template == "folder")
        return self.contents.are_named

    def with_values(self, values: Mapping[str, str | None]) -> Proposal:
        """The same with other values for some keys."""
        return replace(self, values={**self.values, **values})


def propose(root: Path, *, gpu: bool) -> Proposal:
    """Look at a tree: images, masks, which belong together, and what the masks hold.

    Every image with its mask is a study's data; images of which none or some have masks are a
    labelling project's.

    Args:
        root: an existing folder.
        gpu: whether trainings will run on a GPU; a CPU gets a small model at a small size.

    Raises:
        DataError: what seem to be masks are JPEGs.
    """
    plain = re.sub("[^A-Za-z0-9]+", "-", root.resolve().name)[:_LONGEST_NAME].strip("-")
    name = yaml_text(plain or "my-data")
    if template := _official(root):
        note = f"a tree that the template {template} reads; its model is the paper's, for GPUs"
        return Proposal(template, {"study": name, "root": yaml_text(str(root))}, (note,))
    found = survey(root)
    choice = choose(found)
    common = {"name": name, "root": yaml_text(str(root))}
    common |= _ON_GPU if gpu else _ON_CPU
    if choice is None:
        nothing = {"project": name, **common, "masks": _free_name(root)}
        return Proposal("project", nothing, tuple(_nothing(found)))
    template, key = ("folder", "study") if choice.is_study else ("project", "project")
    values, notes = _folders(root, choice)
    measuring = _measuring(choice)
    values["val"] = measuring[0].value
    notes.append(f"measured on: {measuring[0].words}")
    contents = _contents(root, choice)
    if contents is None:
        notes.append("name your classes in `classes`; the first is value 0 in the masks")
    else:
        values |= contents.as_yaml(contents.default_names())
        notes.append(contents.in_words())
        notes += _on_classes(contents)
    for of_images, value, note in _of_images(choice, _SHORT_ON_GPU if gpu else _SHORT_ON_CPU):
        values[of_images] = value
        notes.append(note)
    notes += choice.unused
    return Proposal(template, {key: name, **common, **values}, tuple(notes), contents, measuring)


def _official(root: Path) -> str | None:
    """The template of a tree that is laid out as it is downloaded."""
    if all((root / name / "train").is_dir() for name in (CITYSCAPES_IMAGES, CITYSCAPES_MASKS)):
        return "cityscapes"
    if any((root / home / VOC_LISTS / "train.txt").is_file() for home in VOC_HOMES):
        return "pascal_voc"
    return None


def _folders(root: Path, choice: Choice) -> tuple[dict[str, str | None], list[str]]:
    images, match = choice.images, choice.masks
    values: dict[str, str | None] = {"images": yaml_text(images.path)}
    if named := match or next(iter(choice.val), None):
        names = {"image_name": named.image_name, "mask_name": named.mask_name}
        values |= {key: f'"{name}"' for key, name in names.items() if name != "{stem}"}
    if match is None:
        values["masks"] = yaml_text(masks_folder(choice) or _free_name(root))
        notes = [
            f"{len(images):,} images in {images.path}, none with a mask: a labelling project",
            f"masks will be written to {values['masks']}",
        ]
        return values, notes
    values["masks"] = yaml_text(match.masks.path)
    having = "all" if match.is_whole else f"{match.labelled:,}"
    kind = "a study" if match.is_whole else "a labelling project"
    where = f"{len(images):,} images in {images.path}, {having} with masks in {match.masks.path}"
    notes = [f"{where}: {kind}"]
    if stray := len(match.masks) - match.labelled:
        notes.append(
            f"{stray:,} masks in {match.masks.path} have no image: `alspec check` names one"
        )
    return values, notes


def _measuring(choice: Choice) -> tuple[Measuring, ...]:
    """What the model can be measured on, the best first."""
    naming = (choice.masks.image_name, choice.masks.mask_name) if choice.masks else None
    folders = [
        Measuring(
            f"the {match.labelled:,} images in {match.images.path}, masks in {match.masks.path}",
            f"{{images: {yaml_text(match.images.path)}, masks: {yaml_text(match.masks.path)}}}",
        )
        for match in choice.val
        if naming in (None, (match.image_name, match.mask_name))
    ]
    if choice.is_study:
        rest = Measuring("a fifth of the images, by whole videos where `sequence` is set", _FIFTH)
    else:
        rest = Measuring("a share of each batch, chosen at random and never trained on", None)
    return (*folders, rest)


def _contents(root: Path, choice: Choice) -> MaskContents | None:
    """Of the pool's masks, and of what it is measured on."""
    used: list[Match] = [match for match in (choice.masks, *choice.val[:1]) if match]
    files = [path for match in used for path in match.masks.files.values()]
    contents = read_contents(root, files) if files else None
    return contents if contents and len(contents.classes) > 1 else None


def _on_classes(contents: MaskContents) -> Iterator[str]:
    if contents.are_named:
        yield f"names of classes from a file beside the masks: {', '.join(contents.names.values())}"
        return
    if len(contents.classes) > MOST_CLASSES:
        yield (
            f"{len(contents.classes):,} values are many for classes: if each is the number of one "
            "object, write masks in which all objects of a class have the same value"
        )
        return
    key = "classes" if contents.are_positions else "colours" if contents.is_coloured else "values"
    yield f"name the classes in `{key}`; a value that is no class, as void, goes into `ignore`"
    absent = [code for code in contents.classes if code not in contents.shares]
    if absent:
        yield f"no mask holds {', '.join(absent)}: if it is no class, write `values` in place of it"


def _of_images(choice: Choice, short: int) -> Iterator[tuple[str, str, str]]:
    """Key, value and note of what the image files say."""
    if size := size_of(choice.images.first):
        own = proposed_size(size, short)
        how = "used so" if list(size) == own else f"resized to {own}"
        note = f"the first image is {size[0]}x{size[1]} (height x width), {how}"
        yield "image_size", str(own), note
    ending = choice.images.ending or (
        choice.masks.image_name.partition("{stem}")[2].partition(".")[0] if choice.masks else ""
    )
    names = [name.removesuffix(ending) for name in choice.images.files]
    if found := guess_sequence(names):
        pattern, videos = found
        yield "sequence", f"'{pattern}'", f"{videos} videos by the names: look at `sequence`"


def _free_name(root: Path) -> str:
    """A folder for masks that is not there, or empty."""
    for name in ("labels", "masks", "alspec_labels"):
        if not (root / name).exists() or not any((root / name).iterdir()):
            return name
    return "alspec_labels"


def _nothing(found: Survey) -> Sequence[str]:
    if found.too_many:
        return [
            f"more than {MOST_FILES:,} images: name the folder of the dataset, not one above it"
        ]
    if found.loose:
        return ["the images lie in the folder itself: put them into one of its own, as images/"]
    notes = ["no folder with images was found: set `images`, `masks` and `classes`"]
    if found.links:
        notes.append(
            f"{', '.join(found.links)}: links, which are not looked into; name the folder they "
            "lead to, or fill in the spec with `follow_links: true`"
        )
    if found.videos:
        name = found.videos[0].name
        notes.append(
            f"{name} is a video; alspec reads images: `mkdir frames`, then "
            f"`ffmpeg -i {name} -q:v 2 frames/{found.videos[0].stem}_%06d.jpg`"
        )
    return notes
