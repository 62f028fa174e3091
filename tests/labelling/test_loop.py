"""Whole rounds with a pretended annotator, on drawn images and the smallest net."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from factories import annotators
from factories.drawn_project import CLASSES, DrawnProject
from factories.project_place import Place
from fakes.in_process import InProcess, predict_here
from PIL import Image


@pytest.fixture(scope="module")
def looped(tmp_path_factory):
    """Three batches through the three tools, with predictions in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alspec.labelling.masks.predict_images", predict_here)
        patch.setattr("alspec.labelling.hand_over.predict_images", predict_here)
        patch.setattr("os.fsync", lambda _: None)
        yield loop(tmp_path_factory.mktemp("project"))


def loop(root):
    drawn = DrawnProject(root, images=30)
    place = Place(root / "work", InProcess)
    asked, states = [], []
    for number, (tool, write) in enumerate(
        {
            "folder": annotators.folder_of_masks,
            "cvat": annotators.cvat_masks,
            "labelstudio": annotators.labelstudio,
        }.items(),
        start=1,
    ):
        made = place.select(drawn.project, to=tool)
        assert made.new
        table = place.folder(drawn.project).batch(number).table
        truths = annotators.truths_of(table, drawn.truths.__getitem__)
        back = write(root / f"back{number}.json", truths, CLASSES)
        given = place.ingest(drawn.project, back)
        asked.append(made.batch)
        states.append((given.deliveries, given.state))
    summary = place.run(drawn.project).summary
    predicted = place.predict(drawn.project, root / "masks", confidence=True)
    return drawn, place, asked, states, summary, predicted


def test_nothing_is_asked_for_twice_and_a_third_is_for_checking(looped):
    _, _, asked, _, _, _ = looped
    ids = [image for batch in asked for image in batch.ids()]
    assert len(ids) == len(set(ids)) == 18
    for batch in asked:
        roles = [row.role.value for row in batch.rows]
        assert roles.count("check") == 3  # at least 10, at most half
        assert [row.rank for row in batch.rows] == list(range(1, 7))


def test_the_first_batch_needs_no_model_and_later_ones_follow_the_guide(looped):
    _, _, asked, _, _, _ = looped
    assert asked[0].about["method"] == "herding"
    assert asked[0].about["train"] is None
    for batch in asked[1:]:
        assert batch.about["method"] == "coreset" or batch.about["advice"]
        assert any("Table 6" in reason for reason in batch.about["reasons"])


def test_masks_on_disk_are_the_truth_pixel_for_pixel(looped):
    drawn, _, asked, states, _, _ = looped
    on_disk = drawn.labelled()
    assert set(on_disk) == {image for batch in asked for image in batch.ids()}
    for image, mask in on_disk.items():
        np.testing.assert_array_equal(mask, drawn.truths[image])
    assert states[-1][1].open_batch is None


def test_proposals_are_for_training_images_of_later_batches_alone(looped):
    drawn, place, asked, _, _, _ = looped
    folder = place.folder(drawn.project)
    assert not folder.batch(1).proposed.exists()
    for batch in asked[1:]:
        proposed = {path.stem for path in folder.batch(batch.number).proposed.iterdir()}
        assert proposed == {row.stem for row in batch.rows if row.role.value == "train"}
        assert batch.folder.contact_sheet.is_file()


def test_every_model_is_measured_on_all_check_images(looped):
    drawn, place, _, _, summary, _ = looped
    assert summary.measured_on == 9
    assert [point[0] for point in summary.worth.points] == [3, 6, 9]
    assert summary.untrained == 0
    assert all(0 <= point[1] <= 100 for point in summary.worth.points)
    report = place.folder(drawn.project).report.read_text()
    assert "| trained on | mIoU |" in report
    assert "corrected in the last batch" in report


def test_each_round_runs_only_what_new_labels_touch(looped):
    drawn, place, _, _, _, _ = looped
    events = [
        json.loads(line) for line in place.folder(drawn.project).events.read_text().splitlines()
    ]
    done = [event["key"] for event in events if event["event"] == "done"]
    assert len(done) == len(set(done))
    trains = {event["key"] for event in events if event["step"].endswith(" train")}
    assert len(trains) == 3


def test_predictions_are_palette_images_of_every_image_at_its_size(looped):
    drawn, _, _, _, _, predicted = looped
    assert (predicted.images, predicted.written, predicted.problems) == (30, 30, [])
    for image, truth in drawn.truths.items():
        with Image.open(predicted.folder / image) as mask:
            assert mask.mode == "P"
            assert np.array(mask).shape == truth.shape
            assert np.array(mask).max() < len(CLASSES)
        with Image.open(predicted.folder / "confidence" / image) as sure:
            assert sure.mode == "L"
            assert np.array(sure).min() >= 255 // 3


def test_predicting_again_writes_nothing_and_refuses_somebody_elses_folder(looped):
    drawn, place, _, _, _, predicted = looped
    before = {path: path.stat().st_mtime_ns for path in predicted.folder.rglob("*.png")}
    again = place.predict(drawn.project, predicted.folder, confidence=True)
    assert again.written == 0
    assert {path: path.stat().st_mtime_ns for path in predicted.folder.rglob("*.png")} == before


def test_the_table_has_the_columns_of_the_contract(looped):
    _, _, asked, _, _, _ = looped
    with asked[0].folder.table.open(newline="") as file:
        assert next(csv.reader(file)) == ["rank", "id", "file", "why", "score", "role"]
