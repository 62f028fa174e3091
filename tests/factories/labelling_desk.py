"""A drawn project at a person's desk: batches handed out, masks given back, nothing trained."""

from __future__ import annotations

from alspec.datasets.files.palette import png_of
from alspec.labelling.ingestion import ingest
from alspec.labelling.selection import Wanted, select
from alspec.labelling.services import Services
from alspec.labelling.state import read_state
from alspec.labelling.taking import Options
from alspec.store.project_folder import ProjectFolder
from factories import annotators
from factories.drawn_project import CLASSES, DrawnProject

ALL = Options()


def never(plan):
    raise AssertionError("nothing is to be run")


SERVICES = Services(never)


class Desk:
    """A drawn project with a first batch handed out."""

    def __init__(self, root, images=24, **changes):
        self.root = root
        self.drawn = DrawnProject(root, images, first="uniform", **changes)
        self.folder = ProjectFolder(root / "work", "drawn")

    @property
    def project(self):
        return self.drawn.project

    def select(self, **wanted):
        return select(self.project, self.folder, Wanted(**wanted), SERVICES)

    def state(self):
        return read_state(self.project, self.folder)

    def truths(self, number=1):
        table = self.folder.batch(number).table
        return annotators.truths_of(table, self.drawn.truths.__getitem__)

    def ingest(self, path, options=ALL):
        return ingest(self.project, self.folder, path, options, SERVICES)

    def give(self, truths, name="back", write=annotators.folder_of_masks, **more):
        return write(self.root / name, truths, CLASSES, **more)

    def propose(self, stem, mask):
        proposed = self.folder.batch(1).proposed
        proposed.mkdir(exist_ok=True)
        (proposed / f"{stem}.png").write_bytes(png_of(mask, len(CLASSES)))

    def tree(self):
        """Every file of the project and when it was written."""
        return {
            path.relative_to(self.root): (path.read_bytes(), path.stat().st_mtime_ns)
            for place in (self.root / "data" / "labels", self.folder.root)
            for path in sorted(place.rglob("*"))
            if path.is_file()
        }
