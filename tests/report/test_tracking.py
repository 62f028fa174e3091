"""Trackers hear of every result, and none of them can fail a run or hold it up for long."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from factories.packages import GROUP
from factories.toy import TOY
from fakes.trainer import FakeTrainer, Heard, drawn

from alspec import api
from alspec.errors import InputError
from alspec.report import tracking
from alspec.spec.model import Study

TRACKER = """
import json, os, time
from pathlib import Path
class Tracker:
    def __init__(self, save_dir):
        self.file = Path(save_dir) / "heard.jsonl"
        self.file.parent.mkdir(parents=True, exist_ok=True)
    def add_scalar(self, name, value, step=0):
        with self.file.open("a") as file:
            file.write(json.dumps([name, value, step]) + "\\n")
    def close(self):
        pass
class BlackHole(Tracker):
    def add_scalar(self, *_, **__): time.sleep(600)
class Raises(Tracker):
    def add_scalar(self, *_, **__): raise ConnectionError("no network")
class Slow(Tracker):
    def add_scalar(self, *_, **__): time.sleep(0.3)
class Crashes(Tracker):
    def __init__(self, save_dir): os.abort()
class Hangs(Tracker):
    def close(self): time.sleep(600)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a study with a tracker; its results, what was noted, and the seconds it took."""
    (tmp_path / "odd_trackers.py").write_text(TRACKER)
    info = tmp_path / "odd-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # a folder with plugins is passed on
    monkeypatch.setattr("alspec.report.album.Album.draw", drawn)
    monkeypatch.setattr("os.fsync", lambda _: None)

    def run(tracker, **options):
        heard, begun = Heard(), time.monotonic()
        study = Study.model_validate({**TOY, "ssl": [False]})
        done = api.run(
            study, work_dir=tmp_path / "work", devices="cpu", executor=FakeTrainer,
            progress=heard, track=[tracker], **options,
        )  # fmt: skip
        return done, heard.notes, time.monotonic() - begun

    return run


def test_a_tracker_hears_of_every_result_once(run, tmp_path):
    done, notes, _ = run("odd_trackers:Tracker")
    assert not [note for note in notes if "tracking" in note]
    (file,) = (tmp_path / "work" / "tiny" / "tracking").rglob("heard.jsonl")
    said = [tuple(json.loads(line)) for line in file.read_text().splitlines()]
    assert len(said) == len(set(said)) == len(done.results)
    values = {(step, round(value, 6)) for _, value, step in said}
    assert values == {
        (row.labelled_images, round(row.miou, 6)) for row in done.results.itertuples()
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BlackHole", "was stopped"),
        ("Hangs", "was stopped"),
        ("Raises", "ended with 1"),
        ("Crashes", "ended with -6"),
        ("Missing", "ended with 1"),
    ],
)
def test_whatever_a_tracker_does_the_run_finishes(run, monkeypatch, name, words):
    monkeypatch.setattr(tracking, "CLOSE_SECONDS", 8.0)
    done, notes, seconds = run(f"odd_trackers:{name}")
    assert done.ok
    assert len(done.results)
    (told,) = [note for note in notes if note.startswith("tracking")]
    assert words in told
    assert "tracking.txt" in told
    assert seconds < 60


def test_a_slow_tracker_has_its_time(run):
    _, notes, _ = run("odd_trackers:Slow")
    assert not [note for note in notes if "tracking" in note]


def test_an_unknown_tracker_is_told_before_anything_runs(run, tmp_path):
    with pytest.raises(InputError, match=r"no such tracker\. Known: tensorboard, mlflow"):
        run("tensorbord")
    assert not list(Path(tmp_path / "work").rglob("results.csv"))


def test_the_limit_is_below_the_thirty_seconds_that_are_promised():
    assert tracking.CLOSE_SECONDS <= 25
