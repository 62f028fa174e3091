"""`select` and `ingest` killed at every write, and at once in two processes."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from factories.labelling_desk import SERVICES, Desk

from alspec.labelling.batches import read_batches
from alspec.labelling.hand_over import hand_over
from alspec.system import failpoints


def in_fork(action, fault="", counts=None):
    """Do something in a process of its own that a fault may end; its exit code."""
    fork = os.fork()
    if fork:
        return fork
    code = 3
    try:
        os.environ[failpoints.FAULT] = fault
        os.fsync = lambda _: None
        action()
        code = 0
        if counts is not None:
            counts.write_text(repr(dict(failpoints.passed)))
    finally:
        os._exit(code)


def ended(fork):
    return os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])


def points_of(action, tmp_path):
    """Every point that an action passes, as `(name, number)`."""
    counts = tmp_path / "counts"
    assert ended(in_fork(action, "none:0:kill", counts)) == 0
    passed = eval(counts.read_text())
    return [(name, number) for name, times in passed.items() for number in range(1, times + 1)]


def whole(desk):
    """Select and hand over for all tools."""
    made = desk.select()
    for tool in ("folder", "cvat", "labelstudio"):
        hand_over(desk.project, desk.folder, made.state, made.batch, tool, SERVICES)


def files(desk):
    """What of a project's folder is not half-written."""
    return {
        path.relative_to(desk.folder.root): path.read_bytes().replace(str(desk.root).encode(), b"")
        for path in sorted(desk.folder.root.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-4:])
    }


@pytest.mark.parametrize("one_in", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_select_killed_at_every_write_makes_the_same_batch(tmp_path, one_in):
    model = Desk(tmp_path / "model", 12)
    whole(model)
    points = points_of(lambda: whole(Desk(tmp_path / "counted", 12)), tmp_path)
    assert len(points) > 40
    for number, (name, count) in enumerate(points[::one_in]):
        desk = Desk(tmp_path / f"desk{number}", 12)
        assert ended(in_fork(lambda d=desk: whole(d), f"{name}:{count}:kill")) == -signal.SIGKILL
        whole(desk)
        assert len(read_batches(desk.folder)) == 1
        assert files(desk) == files(model)


def test_ingest_killed_at_every_write_loses_nothing(tmp_path):
    def given(name):
        desk = Desk(tmp_path / name, 12)
        desk.select()
        truths = desk.truths()
        stem = next(iter(truths))
        desk.ingest(desk.give({stem: (truths[stem] + 1) % 3}, "first"))  # to be revised
        return desk, desk.give(truths)

    counted, path = given("counted")
    points = points_of(lambda: counted.ingest(path), tmp_path)
    assert len(points) > 30
    for number, (name, count) in enumerate(points):
        desk, path = given(f"desk{number}")
        killed = ended(in_fork(lambda d=desk, p=path: d.ingest(p), f"{name}:{count}:kill"))
        assert killed == -signal.SIGKILL
        desk.ingest(path)
        on_disk = desk.drawn.labelled()
        assert len(on_disk) == 6
        for image, mask in on_disk.items():
            np.testing.assert_array_equal(mask, desk.drawn.truths[image])
        assert len(list(desk.folder.batch(1).replaced.glob("b*.png"))) == 1
        assert desk.state().open_batch is None
        assert desk.ingest(path).known


@pytest.mark.parametrize("round_", range(5))
def test_two_processes_at_once_make_one_batch_and_take_a_delivery_once(round_, tmp_path):
    desk = Desk(tmp_path, 12)
    assert [ended(fork) for fork in [in_fork(lambda: whole(desk)) for _ in range(2)]] == [0, 0]
    (batch,) = read_batches(desk.folder)
    assert len(set(batch.ids())) == 6
    path = desk.give(desk.truths())
    forks = [in_fork(lambda: desk.ingest(path)) for _ in range(2)]
    assert [ended(fork) for fork in forks] == [0, 0]
    (batch,) = read_batches(desk.folder)
    assert len(batch.received) == 1
    assert len(desk.drawn.labelled()) == 6
    assert not desk.folder.batch(1).replaced.exists()
