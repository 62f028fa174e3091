"""Makes what people get of a batch: proposals, a contact sheet, and a folder for their tool."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from alspec.datasets.files.decoding import read_labels, size_of
from alspec.datasets.files.palette import first_colours
from alspec.labelling.batches import Batch, Role
from alspec.labelling.contact_sheet import contact_sheet
from alspec.labelling.export import cvat, folder, labelstudio
from alspec.labelling.export.image import HandedImage, HandOver
from alspec.labelling.mask_file import has_ignored, own_codes
from alspec.labelling.services import Services
from alspec.labelling.state import State
from alspec.labelling.trainings import all_trainings
from alspec.plan.kinds.train import WEIGHTS
from alspec.run.prediction import predict_images
from alspec.spec.project import IGNORED, Project
from alspec.store.drafts import new_draft
from alspec.store.project_folder import ProjectFolder
from alspec.system import failpoints
from alspec.system.atomic import write_bytes

Tool = Literal["folder", "cvat", "labelstudio"]

WRITERS: dict[str, Callable[[Path, HandOver], None]] = {
    "folder": folder.write,
    "cvat": cvat.write,
    "labelstudio": labelstudio.write,
}

_NO_VALUE = (
    "the project's masks have no value for them. Give every pixel a class, or name one in "
    "`unlabelled`, or a value in the dataset's `ignore`"
)


def hand_over(
    project: Project,
    project_folder: ProjectFolder,
    state: State,
    batch: Batch,
    tool: Tool,
    services: Services,
) -> Path:
    """The hand-over of a batch for a tool; what is there already is left as it is.

    Raises:
        StepFailed: the proposals could not be predicted.
        DataError: an image cannot be read.
    """
    _propose(project, project_folder, state, batch, services)
    images = handed_images(state, batch)
    if not batch.folder.contact_sheet.exists():
        sheet = contact_sheet(images, project.classes, services)
        write_bytes(batch.folder.contact_sheet, sheet)
    home = batch.folder.hand_over(tool)
    if project.unlabelled != IGNORED:
        unlabelled = f"become `{project.unlabelled}`"
    elif has_ignored(state.dataset.spec):
        unlabelled = "are ignored"
    else:
        unlabelled = f"are refused: {_NO_VALUE}"
        if not home.is_dir():
            services.note(f"masks with pixels without a class will be refused: {_NO_VALUE}")
    given = HandOver(
        images=images,
        classes=project.classes,
        project=services.project,
        unlabelled=unlabelled,
        home=home.absolute(),
        colours=first_colours(own_codes(state.dataset.spec).colours),
    )
    _write_whole(home, lambda draft: WRITERS[tool](draft, given))
    return home


def handed_images(state: State, batch: Batch) -> list[HandedImage]:
    """The images of a batch that are still there, best first, with their proposals."""
    there = {frame.id for frame in state.frames}
    images = []
    for row in batch.rows:
        if row.id not in there:
            continue
        file = state.dataset.image_file(row.id)
        path = batch.folder.proposed / f"{row.stem}.png"
        proposal = read_labels(path).astype(np.uint8) if path.is_file() else None
        images.append(HandedImage(row.id, row.file, file, size_of(file), proposal))
    return images


def _propose(
    project: Project, place: ProjectFolder, state: State, batch: Batch, services: Services
) -> None:
    """Predict the masks of a batch's images, but for check images and first batches."""
    train = batch.about.get("train")
    if batch.folder.proposed.is_dir() or not train:
        return
    store = place.store
    if not store.holds(train, WEIGHTS):
        services.note("the model of this batch is not in the store any more: no proposals")
        return
    if train not in {one.key for one in all_trainings(place) if one.classes == project.classes}:
        services.note("the model of this batch knows other classes than the spec has: no proposals")
        return
    there = {frame.id for frame in state.frames}
    rows = [row for row in batch.rows if row.role is Role.TRAIN and row.id in there]

    def predict(draft: Path) -> None:
        predict_images(
            store,
            train,
            [
                {
                    "image": str(state.dataset.image_file(row.id).absolute()),
                    "mask": str((draft / f"{row.stem}.png").absolute()),
                }
                for row in rows
            ],
            size=project.dataset.image_size,
            bands=state.dataset.spec.bands,
            value_range=state.dataset.spec.range,
            classes=len(project.classes),
            devices=services.devices,
            progress=lambda done, total: services.progress("proposing masks", done, total),
        )

    _write_whole(batch.folder.proposed, predict)


def _write_whole(home: Path, write: Callable[[Path], None]) -> None:
    """Write a folder whole or not at all, unless it is there."""
    if home.is_dir():
        return
    draft = new_draft(home.parent, f".{home.name}")
    try:
        write(draft)
        failpoints.at("hand-over.rename", home)
        try:
            draft.rename(home)
        except OSError:  # another process made the same meanwhile
            if not home.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
