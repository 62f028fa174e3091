"""What s4GAN did in a training: read from its epochs, and said wherever it did next to nothing."""

from __future__ import annotations

import csv
import math
import shutil

import pandas as pd
import pytest
from factories.study import MadeStudy

from alspec.report.publish import publish
from alspec.results.s4gan_signals import mean_signals, signal_rows, signals_of
from alspec.system.atomic import write_csv

ALIVE = {"accepted": [0.0, 0.4, 0.8], "score_real": [0.5, 0.7, 0.9], "score_fake": [0.5, 0.4, 0.3]}


def table(accepted, real, fake):
    return {"epoch": [1], "accepted": [accepted], "score_real": [real], "score_fake": [fake]}


def test_signals_are_means_over_epochs():
    found = signals_of(ALIVE)
    assert found
    assert (found.accepted, found.score_real) == pytest.approx((0.4, 0.7))
    assert found.score_fake == pytest.approx(0.4)
    assert not found.idle


@pytest.mark.parametrize(
    ("accepted", "real", "fake", "idle"),
    [
        (0.049, 0.9, 0.1, True),
        (0.05, 0.9, 0.1, False),
        (0.5, 0.52, 0.48, True),
        (0.5, 0.48, 0.52, True),
        (0.5, 0.53, 0.47, False),
        (1.0, 0.6, 0.6, True),
    ],
)
def test_what_counts_as_doing_nothing(accepted, real, fake, idle):
    found = signals_of(table(accepted, real, fake))
    assert found
    assert found.idle is idle


def test_without_s4gan_there_are_none():
    assert signals_of({"loss": [1.0]}) is None
    assert signals_of({}) is None
    assert signals_of(table(math.nan, 0.5, 0.5)) is None
    assert mean_signals([{"loss": [1.0]}]) is None
    mean = mean_signals([table(0.0, 0.6, 0.2), {"loss": [1.0]}, table(0.2, 0.8, 0.4)])
    assert mean
    assert (mean.accepted, mean.score_real) == pytest.approx((0.1, 0.7))
    assert "accepted 10.0 % of unlabelled images" in mean.in_words()


def test_a_training_of_several_labelled_sets_has_one_row():
    one = {"dataset": "d", "pool": "p", "budget": "b", "mc_dropout": False, "seed": 0, "cycle": 0}
    sets = pd.DataFrame(
        [
            {**one, "method": "entropy", "ssl": True, "train_key": "k1"},
            {**one, "method": "coreset", "ssl": True, "train_key": "k1"},
            {**one, "method": "entropy", "ssl": False, "train_key": "k2"},
            {**one, "method": "entropy", "ssl": True, "train_key": "k3"},
        ]
    )
    rows = signal_rows(sets, {"k1": ALIVE, "k2": {"loss": [1.0]}})
    assert signal_rows(sets.iloc[:0].astype(object), {}) == []
    assert rows == [("d", "p", "b", "entropy", False, 0, 0, "k1", "0.4000", "0.7000", "0.4000")]


@pytest.mark.parametrize("accepted", [0.01, 0.5])
def test_a_study_publishes_them_and_judges_no_advice_by_idle_arms(tmp_path, accepted):
    made = MadeStudy(methods=("random", "entropy", "coreset"), ssl=(False, True), seeds=(0, 1, 2))
    folder = made.in_folder(tmp_path)
    header = ("epoch", "loss", "accepted", "score_real", "score_fake")
    trained = {labelled.train for run in made.plan.runs if run.ssl for labelled in run.sets}
    for key in trained:
        home = folder.store.home(key)
        described = (home / "train.json").read_bytes()
        shutil.rmtree(home)
        with folder.store.draft(key, {}) as draft:
            (draft / "train.json").write_bytes(described)
            write_csv(draft / "epochs.csv", header, [(1, 0.5, accepted, 0.8, 0.3)])
    report = publish(made.plan, folder).read_text("utf-8")
    rows = list(csv.DictReader((folder.root / "s4gan.csv").open(newline="")))
    assert {row["train_key"] for row in rows} == trained
    assert {row["accepted"] for row in rows} == {f"{accepted:.4f}"}
    idle = accepted < 0.05
    assert ("s4GAN idle: accepted 1.0 % of unlabelled images" in report) == idle
    assert ("s4GAN did next to nothing in the arms that the guide advises" in report) == idle
