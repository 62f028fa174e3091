"""A project that grows over many batches: what each `select` runs anew; made-up steps."""

from __future__ import annotations

import pytest
from factories import annotators
from factories.drawn_project import CLASSES, DrawnProject
from factories.made_up import MadeUp
from factories.project_place import Place

from alspec.labelling.state import read_state
from alspec.plan.kinds import ACQUIRE, EVALUATE, POOL, TRAIN


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr(
        "alspec.labelling.hand_over.predict_images", lambda *arguments, **options: []
    )
    MadeUp.done.clear()
    return Place(tmp_path / "work", MadeUp)


def label(drawn, place, number, changed=()):
    table = place.folder(drawn.project).batch(number).table
    truths = annotators.truths_of(table, drawn.truths.__getitem__)
    back = annotators.folder_of_masks(drawn.root / f"back{number}", truths, CLASSES)
    place.ingest(drawn.project, back)


@pytest.mark.parametrize(
    ("batches", "batch"), [(6, 6), pytest.param(20, 25, marks=pytest.mark.slow)]
)
def test_each_select_runs_only_what_the_new_labels_touch(batches, batch, tmp_path, place):
    drawn = DrawnProject(tmp_path, batches * batch + 10, batch=batch, check=0.2)
    check = min(10, batch // 2)
    asked = set()
    for number in range(1, batches + 1):
        MadeUp.done.clear()
        made = place.select(drawn.project)
        ids = made.batch.ids()
        assert not asked & set(ids)
        asked |= set(ids)
        label(drawn, place, number)
        if number == 1:
            assert MadeUp.done == {}  # the first batch needs no model
            continue
        groups = number - 1  # of check images, as many as batches are labelled
        former = number - 2  # models before this one
        assert MadeUp.done == {
            **({POOL: 1} if number == 2 else {}),
            TRAIN: 1,
            ACQUIRE: 2,  # the labelled set, and the choice
            EVALUATE: groups + former,  # the new model on all, the others on the newest
        }
    assert len(asked) == batches * batch
    done = place.run(drawn.project)
    summary = done.summary
    labelled = [(batch - check) * n for n in range(1, batches + 1)]
    assert [point[0] for point in summary.worth.points] == labelled
    assert summary.measured_on == check * batches
    assert (done.ok, done.results["labelled_images"].tolist()) == (True, labelled)
    assert done.batches["waiting"].tolist() == [0] * batches


def test_a_revised_mask_trains_the_newest_model_anew_and_nothing_else(tmp_path, place):
    drawn = DrawnProject(tmp_path, 30)
    for number in (1, 2, 3):
        place.select(drawn.project)
        label(drawn, place, number)
    place.run(drawn.project)
    MadeUp.done.clear()
    place.run(drawn.project)
    assert MadeUp.done == {}
    trained = next(image for image in sorted(drawn.labelled()) if image in train_ids(drawn, place))
    drawn.label(trained, (drawn.truths[trained] + 1) % 3)
    place.run(drawn.project)
    assert MadeUp.done == {TRAIN: 1, ACQUIRE: 1, EVALUATE: 3}
    points = place.status(drawn.project).worth.points
    assert [point[0] for point in points] == [3, 6, 9]  # the newest of the same images counts


def train_ids(drawn, place):
    return set(read_state(drawn.project, place.folder(drawn.project)).train_ids)


def test_new_images_join_and_touch_no_training_without_ssl(tmp_path, place):
    drawn = DrawnProject(tmp_path, 20, ssl=False)
    place.select(drawn.project)
    label(drawn, place, 1)
    place.run(drawn.project)
    drawn.draw("seq0/999.png", 999)
    MadeUp.done.clear()
    made = place.select(drawn.project, 14)
    assert MadeUp.done == {POOL: 1, ACQUIRE: 1}
    assert made.state.counts()["pool"] == 1
