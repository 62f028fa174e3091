"""What a run shows: lines that fit 40 and 80 columns, and estimates that are near at once."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from alspec.cli import display
from alspec.cli.display import RunDisplay, fitted
from alspec.cli.time_left import TimeLeft
from alspec.plan.kinds import TRAIN
from alspec.plan.step import Step
from alspec.run.executors.base import Outcome


def step(number, label="camvid 10-10 entropy ssl seed 0 cycle 1 train"):
    return Step(TRAIN, {"number": number}, label=label)


@pytest.fixture
def terminal(monkeypatch):
    """Shows a run on a terminal of some width; what it looked like."""

    def show(width, run):
        file = io.StringIO()
        console = Console(file=file, force_terminal=True, width=width, height=20, color_system=None)
        monkeypatch.setattr(display, "err", console)
        shown = RunDisplay()
        steps = [step(number) for number in range(3)]
        shown.steps_begin({one.key: 1.0 for one in steps}, waits=True)
        run(shown, steps)
        shown._progress.refresh()
        shown.steps_end()
        return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in file.getvalue().split("\n")]

    return show


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_steps_can_be_told_apart(terminal, width):
    def run(shown, steps):
        for one in steps:
            shown.started(one)
        shown.progressed(steps[0], 30, 120)

    lines = terminal(width, run)
    assert max(len(part) for line in lines for part in line.split("\r")) <= width
    text = "\n".join(lines)
    assert "cycle 1 train" in text
    assert "30/120" in text
    assert "0/3" in text
    assert ("camvid" in text) is (width >= 100)


def test_a_long_name_keeps_its_end():
    assert fitted("camvid 10-10 entropy seed 0 cycle 1 train", 20) == "…eed 0 cycle 1 train"
    assert fitted("toy pool", 20) == "toy pool"


def simulated(costs, speed, startup, workers=1):
    """Estimates while steps of real costs run: each with the time and what was truly left."""
    left, now, told = TimeLeft(costs), startup, []
    whole = startup + sum(costs.values()) / speed / workers
    queue = [[key, cost] for key, cost in costs.items()]
    while queue:
        batch = queue[:workers]
        for key, cost in batch:
            for part in range(1, 11):
                left.progressed(key, part / 10, now + cost / speed * part / 10)
                at = now + cost / speed * part / 10
                if (seconds := left.seconds(at)) is not None:
                    told.append((at, seconds, whole - at))
        now += max(cost for _, cost in batch) / speed
        for key, _ in batch:
            left.ended(key, now)
        queue = queue[workers:]
    return told


@pytest.mark.parametrize("startup", [0, 30, 120])
def test_the_first_estimate_is_within_a_factor_of_two(startup):
    costs = {"pool": 0.01, "initial": 0.01, **{f"train {n}": 10.0 for n in range(20)}}
    told = simulated(costs, speed=0.5, startup=startup)
    _, first, truth = told[0]
    assert truth / 2 <= first <= truth * 2
    assert all(truth / 2 <= said <= truth * 2 for at, said, truth in told if truth > 20)


def test_nothing_is_said_before_anything_is_measured():
    left = TimeLeft({"a": 1.0, "b": 99.0})
    assert left.seconds(1000.0) is None
    left.ended("a", 1.0)
    assert left.seconds(1.0) is None


def test_without_a_terminal_there_are_plain_lines(monkeypatch, capsys):
    console = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr(display, "err", console)
    clock = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: clock[0])
    shown, steps = RunDisplay(), [step(number) for number in range(4)]
    shown.steps_begin({one.key: 1.0 for one in steps}, waits=True)
    for one in steps:
        shown.started(one)
        for part in range(10):
            clock[0] += 4
            shown.progressed(one, part + 1, 10)
        shown.ended(one, Outcome.DONE, "", "")
    shown.steps_end()
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "4 steps to run"
    assert lines[1].startswith("0 of 4 steps, about ")
    assert len(lines) == 1 + 160 // 32
