"""`predict`: a mask for every image of a project, or of any folder, with the best model so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alspec.datasets.base import Split
from alspec.datasets.files.listing import IMAGE_SUFFIXES
from alspec.datasets.files.palette import class_rows
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import InputError, Problem
from alspec.labelling.measures import measured, mious
from alspec.labelling.predicted_files import ABOUT, PredictedFiles, outputs_of
from alspec.labelling.services import Services
from alspec.labelling.trainings import Training, all_trainings, read_trainings
from alspec.plan.kinds.train import WEIGHTS
from alspec.run.prediction import Files, predict_images
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder
from alspec.system.atomic import write_csv

CONFIDENCE = "confidence"
"""Folder for the largest probability of each pixel, 0 to 255."""


@dataclass
class Predicted:
    """What `predict` wrote.

    Attributes:
        folder: where the masks are, under the images' paths.
        training: the model.
        images: asked for.
        written: now; the others were there, of the same images by the same model.
        problems: images that cannot be read.
    """

    folder: Path
    training: Training
    images: int
    written: int
    problems: list[Problem] = field(default_factory=list)


def predict(
    project: Project,
    folder: ProjectFolder,
    output: Path,
    services: Services,
    *,
    images: Path | None = None,
    confidence: bool = False,
) -> Predicted:
    """Write a palette PNG of class ids for each image, at the image's own size.

    A mask is there whole or not at all. Called again, those of the same images by the same model
    stay, and the others are made.

    Args:
        project: the spec.
        folder: holds the trainings.
        output: for the masks; made if it is not there.
        services: devices and a listener.
        images: a folder of images; the project's own if None.
        confidence: also write how sure the model is of each pixel.

    Raises:
        InputError: there is no model yet, or only of other classes; or there is no image.
        StepFailed: a predicting process ended early; what was written is whole.
    """
    training = best_training(project, folder)
    files = _files(project, images, output, confidence=confidence)
    _refuse_foreign(output, files)
    output.mkdir(parents=True, exist_ok=True)
    spec = PartlyLabelled(project.dataset).spec
    model = {
        "train": training.key,
        "classes": list(project.classes),
        "image_size": spec.image_size,
        "bands": spec.bands,
        "range": spec.range,
    }
    wanted = PredictedFiles(output, model).still_to_write(files)
    write_csv(output / "classes.csv", ("id", "name", "colour"), class_rows(project.classes))
    problems = predict_images(
        folder.store,
        training.key,
        wanted,
        size=spec.image_size,
        bands=spec.bands,
        value_range=spec.range,
        classes=len(project.classes),
        devices=services.devices,
        progress=lambda done, total: services.progress("predicting masks", done, total),
    ) if wanted else []  # fmt: skip
    written = len(wanted) - len({problem.where for problem in problems})
    return Predicted(output, training, len(files), written, problems)


def best_training(project: Project, folder: ProjectFolder) -> Training:
    """The model whose mIoU is best on the images that all are measured on; else the newest.

    Raises:
        InputError: there is none of the project's classes.
    """
    there = folder.store.holds
    trainings = [one for one in read_trainings(folder, project.classes) if there(one.key, WEIGHTS)]
    if not trainings:
        raise InputError.at(project.project, _no_model(project, folder))
    found = mious(measured(folder, trainings))
    best = max(found.values(), default=None)
    return next((one for one in reversed(trainings) if found.get(one.key) == best), trainings[-1])


def _no_model(project: Project, folder: ProjectFolder) -> str:
    of_other_classes = [one for one in all_trainings(folder) if one.classes != project.classes]
    if not of_other_classes:
        return "has no model yet. `alspec select` trains one on what is labelled"
    former, now = (", ".join(each) for each in (of_other_classes[-1].classes, project.classes))
    return (
        f"has models of other classes alone: they know {former or 'others'}, in this order of ids, "
        f"and the spec has {now}. `alspec run` trains one of the spec's; or restore the spec's "
        "classes"
    )


def _refuse_foreign(output: Path, files: Sequence[Files]) -> None:
    """Files that `predict` did not write are somebody's work."""
    if (output / ABOUT).is_file():
        return
    there = [path for one in files for path in outputs_of(one).values() if Path(path).exists()]
    if there:
        what = f"has {len(there)} files that `predict` did not write, the first {there[0]}"
        raise InputError.at(output, f"{what}. Choose another folder for -o")


def _files(project: Project, images: Path | None, output: Path, *, confidence: bool) -> list[Files]:
    if images is None:
        dataset = PartlyLabelled(project.dataset)
        frames = [frame.id for split in Split for frame in dataset.frames(split)]
        names: dict[str, Path] = {image: dataset.image_file(image) for image in frames}
    else:
        names = _images_in(images)
    masks = {name: Path(name).with_suffix(".png").as_posix() for name in names}
    maps = {name: f"{CONFIDENCE}/{mask}" for name, mask in masks.items()} if confidence else {}
    _refuse_clashes(masks, maps, images or Path(str(project.dataset.root)))
    files = []
    for name, path in names.items():
        one = {"image": str(path.absolute()), "mask": str((output / masks[name]).absolute())}
        if confidence:
            one["confidence"] = str((output / maps[name]).absolute())
        files.append(one)
    return files


def _images_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError.at(folder, "there is no such folder of images")
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    }
    if not found:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError.at(folder, f"it holds no image ({kinds})")
    return found


def _refuse_clashes(masks: dict[str, str], maps: dict[str, str], where: Path) -> None:
    """Two images of which one file would be written.

    The masks of `a.jpg` and `a.png`, or the mask of `confidence/a.png` and the confidence of
    `a.png`.
    """
    first: dict[str, str] = {}
    for name, mask in masks.items():
        other = first.setdefault(mask, name)
        if other != name:
            what = f"{other} and {name} would have one mask, {mask}; rename one of them"
            raise InputError.at(where, what)
    for name, confidence in maps.items():
        if confidence in first:
            what = (
                f"the mask of {first[confidence]} and the confidence of {name} would be one file, "
                f"{confidence}; rename the folder `{CONFIDENCE}`, or leave out --confidence"
            )
            raise InputError.at(where, what)
