"""Every path of one study below the work directory."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from alspec.errors import StoreError
from alspec.store.store import Store
from alspec.system import failpoints
from alspec.system.atomic import append_text

WORK_DIR = Path("work_dirs")
"""Default directory of studies, projects and their store."""


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one study below the work directory; readable without alspec."""

    work_dir: Path
    study: str

    @property
    def root(self) -> Path:
        """Folder of the study's own files."""
        return self.work_dir / self.study

    @property
    def store(self) -> Store:
        """The store that all studies of a work directory share."""
        return Store(self.work_dir / ".store")

    @property
    def spec(self) -> Path:
        """The resolved spec."""
        return self.root / "spec.yaml"

    @property
    def paths(self) -> Path:
        """Where this machine has the files that `spec.yaml` names; not to be published."""
        return self.root / "paths.json"

    @property
    def data(self) -> Path:
        """Validation images that the pools have too, by dataset: copies, share of near-copies."""
        return self.root / "data.json"

    @property
    def report(self) -> Path:
        """The report in markdown."""
        return self.root / "report.md"

    @property
    def report_html(self) -> Path:
        """The same report as a page."""
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        """The report's figures."""
        return self.root / "figures"

    @property
    def events(self) -> Path:
        """What happened when, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def logs(self) -> Path:
        """One text file a failed step, and one a worker."""
        return self.root / "logs"

    def logs_of(self, job: str) -> Path:
        """Where the logs of a cluster's job lie; those of a run on this machine without one."""
        return self.logs / job if job else self.logs

    @property
    def job_script(self) -> Path:
        """What was last submitted to Slurm."""
        return self.logs / "slurm.sh"

    def table(self, name: str) -> Path:
        """`results`, `classes`, `runs`, `s4gan` or `training`."""
        return self.root / f"{name}.csv"

    @property
    def selections(self) -> Path:
        """A folder a run: `cycle_<k>.txt`, the labelled set; `picks_<k>.csv`, what was added."""
        return self.root / "selections"

    def selection(self, run: str, cycle: int) -> Path:
        """The labelled set of a run at a cycle, one image id a line, in the order of choice."""
        return self.selections / run / f"cycle_{cycle}.txt"

    def picks(self, run: str, cycle: int) -> Path:
        """What a run added at a cycle: rank, id, score."""
        return self.selections / run / f"picks_{cycle}.csv"

    def set_aside_stale(self, written: Collection[Path]) -> None:
        """Move selections that are none of the study's away, to `selections_before/`.

        Those of runs or cycles that the spec had before, and of steps that are no longer finished.

        Args:
            written: the files below `selections` that are the study's.
        """
        current = set(written)
        for path in sorted(self.selections.glob("*/*")):
            ours = path.suffix in (".txt", ".csv") and not path.name.startswith(".")
            if ours and path not in current:
                aside = self.root / "selections_before" / path.parent.name
                aside.mkdir(parents=True, exist_ok=True)
                path.replace(aside / path.name)
        for folder in self.selections.glob("*"):
            with suppress(OSError):  # not empty: in use
                folder.rmdir()

    def remove_empty(self) -> None:
        """Remove logs that say nothing, and then the folders that hold nothing."""
        for log in self.logs.rglob("*.txt"):
            if log.stat().st_size == 0:
                log.unlink(missing_ok=True)
        for folder in (*self.logs.glob("*/"), self.logs, self.root, self.work_dir):
            with suppress(OSError):
                folder.rmdir()

    def log_event(self, event: Mapping[str, object]) -> None:
        """Append one event, on a line of its own also after one that a power cut has cut off."""
        failpoints.at("events.append", self.events)
        self.root.mkdir(parents=True, exist_ok=True)
        line = json.dumps(dict(event), separators=(",", ":")) + "\n"
        append_text(self.events, line if self._events_are_whole() else f"\n{line}")

    def _events_are_whole(self) -> bool:
        try:
            with self.events.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read() == b"\n"
        except OSError:  # not there, or empty
            return True

    def events_end(self) -> int:
        """Where in `events` the next event will be written."""
        try:
            return self.events.stat().st_size
        except OSError:
            return 0

    def events_from(self, place: int) -> tuple[list[dict[str, object]], int]:
        """The whole events from a place in `events` on, and where they end.

        Lines that machines wrote into one another are passed over: the store is the truth.
        """
        try:
            with self.events.open("rb") as file:
                file.seek(place)
                whole, end, _ = file.read().rpartition(b"\n")
        except OSError:
            return [], place
        found = []
        for line in whole.splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    found.append(event)
        return found, place + len(whole) + len(end)


@contextmanager
def writable(folder: StudyFolder) -> Iterator[None]:
    """Have an error of the disk say which path it was and what to do."""
    try:
        yield
    except OSError as err:
        where = err.filename or folder.root
        raise StoreError(
            f"{where}: cannot be written ({err.strerror or err}). Completed steps are kept. Free "
            "or repair the disk and run again, or choose another --work-dir"
        ) from err
