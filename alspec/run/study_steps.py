"""What comes before a study's steps: data, models and disk are checked, its spec is recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from alspec.errors import InputError
from alspec.plan.step import Step, StepKey
from alspec.results.leaks import SplitLeak, write_leaks
from alspec.run.plan_steps import Prepared
from alspec.run.preflight import data
from alspec.run.preflight.spec import record_spec, write_spec
from alspec.spec.load import locate_errors
from alspec.spec.model import Study
from alspec.store.study_folder import StudyFolder


@dataclass(frozen=True)
class PreparedStudy(Prepared):
    """What comes before the first step of a study, wherever it will run.

    Attributes:
        study: as it was loaded; `plan` is the same, expanded.
    """

    study: Study

    def check_disk_and_models(self, todo: Mapping[StepKey, Step]) -> None:
        """As of any plan; problems name places in the study's spec."""
        with locate_errors(self.study):
            super().check_disk_and_models(todo)

    def before_steps(self, todo: Collection[StepKey], warm_up: Callable[[], None]) -> None:
        """Check the data while workers start, then record the spec and what was found."""
        with locate_errors(self.study), made(self.folder):
            warm_up()
            leaks = self.check_data(todo)
        self.record(leaks if todo else None)

    def check_data(self, todo: Collection[StepKey]) -> dict[str, SplitLeak]:
        """Read images and masks where steps will; what of each val its pool has too.

        Raises:
            InputError: what is wrong with them.
        """
        leaks: dict[str, SplitLeak] = {}
        if todo:
            data.check_data(
                self.plan.study.datasets,
                self.log.reading,
                self.folder.store,
                self.log.note,
                lambda name, found: leaks.update({name: SplitLeak.of(found)}),
            )
        data.record_contents(self.plan, self.folder.store)
        return leaks

    def record(self, leaks: Mapping[str, SplitLeak] | None = None) -> None:
        """Write the resolved spec, whose folder this is, and what `check_data` found anew."""
        if leaks is not None:
            write_leaks(self.folder, leaks)
        record_spec(self.plan.study, self.folder)
        write_spec(self.plan.study, self.folder, full_paths=self.options.full_paths)


@contextmanager
def made(folder: StudyFolder) -> Iterator[None]:
    """A study's folder for workers to log in; for bad data what is empty in it is removed again."""
    folder.root.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except InputError:
        if not folder.spec.exists():  # no run of this study got further
            folder.remove_empty()
        raise
