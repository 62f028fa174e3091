"""What a project's files say: which images are pool, asked, labelled or rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from alspec.datasets.base import Frame, ImageId, Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.labelling.batches import Batch, Role, Verdict, read_batches
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder


class ImageState(str, Enum):
    """An image is one of these; nothing stores it, the files say it."""

    POOL = "pool"
    ASKED = "asked"
    LABELLED = "labelled"
    REJECTED = "rejected"


@dataclass(frozen=True)
class State:
    """A project at a moment.

    Attributes:
        dataset: lists the files.
        frames: every image, in time order.
        labelled: those that have a mask.
        batches: in their order.
        rejected: image to the reason it was given.
    """

    dataset: PartlyLabelled
    frames: Sequence[Frame]
    labelled: frozenset[ImageId]
    batches: Sequence[Batch]
    rejected: Mapping[ImageId, str]

    def of(self, image: ImageId) -> ImageState:
        """The state of an image."""
        if image in self.labelled:
            return ImageState.LABELLED
        if image in self.rejected:
            return ImageState.REJECTED
        return ImageState.ASKED if image in self.asked else ImageState.POOL

    @property
    def asked(self) -> frozenset[ImageId]:
        """Every image of every batch, whatever came back."""
        return frozenset(image for batch in self.batches for image in batch.ids())

    @property
    def check(self) -> frozenset[ImageId]:
        """Every image that was asked for to measure on."""
        return frozenset(image for batch in self.batches for image in batch.ids(Role.CHECK))

    @property
    def train_ids(self) -> list[ImageId]:
        """Labelled images to train on, by id."""
        return sorted(self.labelled - self.check)

    def check_groups(self) -> list[list[ImageId]]:
        """Labelled check images of each batch, by id."""
        return [sorted(self.labelled & set(batch.ids(Role.CHECK))) for batch in self.batches]

    @property
    def candidates(self) -> list[Frame]:
        """What can be asked for: images of the pool in time order."""
        apart = self.asked | self.labelled | self.rejected.keys()
        return [frame for frame in self.frames if frame.id not in apart]

    def waiting(self, batch: Batch) -> list[ImageId]:
        """Images of a batch that are neither labelled nor rejected, best first."""
        there = {frame.id for frame in self.frames}
        return [
            image
            for image in batch.ids()
            if image in there and image not in self.labelled and image not in self.rejected
        ]

    @property
    def open_batch(self) -> Batch | None:
        """The last batch that waits for labels."""
        waiting = [batch for batch in self.batches if self.waiting(batch)]
        return waiting[-1] if waiting else None

    @property
    def next_number(self) -> int:
        """The number of the next batch."""
        return 1 + max((batch.number for batch in self.batches), default=0)

    def counts(self) -> dict[str, int]:
        """Images in each state."""
        found = {state.value: 0 for state in ImageState}
        asked = self.asked
        for frame in self.frames:
            image = frame.id
            if image in self.labelled:
                found[ImageState.LABELLED.value] += 1
            elif image in self.rejected:
                found[ImageState.REJECTED.value] += 1
            else:
                state = ImageState.ASKED if image in asked else ImageState.POOL
                found[state.value] += 1
        return found


def read_state(project: Project, folder: ProjectFolder) -> State:
    """Look at a project's files; nothing is read but names and batches.

    Raises:
        DataError: the images or masks cannot be listed.
        StoreError: a batch is corrupt.
    """
    dataset = PartlyLabelled(project.dataset)
    frames = dataset.frames(Split.POOL)
    labelled = frozenset(dataset.labelled())
    batches = read_batches(folder)
    rejected: dict[ImageId, str] = {}
    for batch in batches:
        for image, record in batch.verdicts().items():
            if record["verdict"] == Verdict.REJECTED.value and image not in labelled:
                rejected[image] = str(record.get("why", ""))
    return State(dataset, frames, labelled, batches, rejected)
