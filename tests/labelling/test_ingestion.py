"""Deliveries into a project's files; nothing is trained."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from factories import annotators
from factories.drawn_project import DrawnProject
from factories.labelling_desk import SERVICES, Desk
from PIL import Image

from alspec.errors import InputError
from alspec.labelling.batches import Verdict, read_batches
from alspec.labelling.hand_over import hand_over
from alspec.labelling.summary import summarise
from alspec.labelling.taking import Options


@pytest.fixture
def desk(tmp_path):
    one = Desk(tmp_path)
    one.select()
    return one


# ---- select


def test_select_shows_the_open_batch_and_asks_for_nothing_twice(desk):
    before = desk.tree()
    again = desk.select()
    assert not again.new
    assert desk.tree() == before
    other = desk.select(anyway=True)
    assert other.new
    assert other.batch.number == 2
    ids = [image for batch in read_batches(desk.folder) for image in batch.ids()]
    assert len(ids) == len(set(ids)) == 12


def test_the_same_files_and_seed_make_the_same_batch(tmp_path, desk):
    twin = Desk(tmp_path / "twin")
    twin.select()
    assert twin.folder.batch(1).table.read_bytes() == desk.folder.batch(1).table.read_bytes()
    other = Desk(tmp_path / "other", seed=1)
    other.select()
    assert other.folder.batch(1).table.read_bytes() != desk.folder.batch(1).table.read_bytes()


def test_check_images_are_spread_over_the_batch(desk):
    roles = [row.role.value for row in desk.state().open_batch.rows]
    assert roles.count("check") == 3
    assert "check" in roles[:3]
    assert "check" in roles[3:]


@pytest.mark.parametrize(
    ("n", "share", "check"),
    [(50, 0.2, 10), (100, 0.2, 20), (100, 0.05, 10), (12, 0.2, 6), (1, 0.2, 0), (50, 0, 0)],
)
def test_check_images_are_the_share_and_at_least_ten_up_to_half(n, share, check, tmp_path):
    from alspec.labelling.next_batch import check_size

    drawn = DrawnProject(tmp_path, 1, check=share)
    assert check_size(drawn.project, n) == check


def test_new_images_join_the_pool_and_an_empty_pool_is_an_error(desk):
    assert len(desk.state().candidates) == 18
    desk.drawn.draw("seq0/999.png", 999)
    assert len(desk.state().candidates) == 19
    desk.select(anyway=True, images=19)
    with pytest.raises(InputError, match="no image is left"):
        desk.select(anyway=True)


def test_the_hand_over_of_a_first_batch_has_no_proposals_and_can_be_made_again(desk):
    batch = desk.state().open_batch
    for tool in ("folder", "cvat", "labelstudio"):
        home = hand_over(desk.project, desk.folder, desk.state(), batch, tool, SERVICES)
        assert len(list((home / "images").iterdir())) == 6
    assert batch.folder.contact_sheet.is_file()
    (home / "tasks.json").unlink()
    before = desk.tree()
    hand_over(desk.project, desk.folder, desk.state(), batch, tool, SERVICES)
    assert desk.tree() == before  # what is there is left as it is


# ---- ingest


def test_a_partial_delivery_leaves_the_rest_open(desk):
    truths = desk.truths()
    first = dict(list(truths.items())[:2])
    taken = desk.ingest(desk.give(first))
    assert [said["verdict"] for said in taken.verdicts.values()] == ["labelled"] * 2
    assert len(desk.state().waiting(desk.state().open_batch)) == 4
    desk.ingest(desk.give(truths, "rest"))
    assert desk.state().open_batch is None
    for image, mask in desk.drawn.labelled().items():
        np.testing.assert_array_equal(mask, desk.drawn.truths[image])


@pytest.mark.parametrize(
    "write", [annotators.folder_of_masks, annotators.cvat_masks, annotators.cvat_xml]
)
def test_the_same_bytes_a_second_time_change_nothing(desk, write):
    path = desk.give(desk.truths(), write=write)
    assert not desk.ingest(path).known
    before = desk.tree()
    again = desk.ingest(path)
    assert again.known
    assert desk.tree() == before


def test_an_old_delivery_given_again_does_not_undo_a_revision(desk):
    truths = desk.truths()
    stem = next(iter(truths))
    old = desk.give(truths, "old")
    desk.ingest(old)
    changed = {stem: (truths[stem] + 1) % 3}
    taken = desk.ingest(desk.give(changed, "new"))
    (said,) = taken.verdicts.values()
    kept = desk.folder.batch(1).replaced / said["replaced"]
    np.testing.assert_array_equal(np.array(Image.open(kept)), truths[stem])
    desk.ingest(old)
    (image,) = taken.verdicts
    np.testing.assert_array_equal(desk.drawn.labelled()[image], changed[stem])


def test_a_mask_that_is_the_proposal_counts_when_it_is_accepted(desk):
    truths = desk.truths()
    stems = list(truths)
    desk.propose(stems[0], truths[stems[0]])
    other = truths[stems[1]].copy()
    other[:2] = (other[:2] + 1) % 3
    desk.propose(stems[1], other)
    path = desk.give(truths)
    taken = desk.ingest(path)
    verdicts = dict(zip(stems, _in_order(desk, taken), strict=True))
    assert verdicts[stems[0]]["verdict"] == "unchanged"
    assert "--accept-unchanged" in verdicts[stems[0]]["why"]
    assert verdicts[stems[1]]["changed"]["pixels"] == 2 * other.shape[1]
    assert len(desk.drawn.labelled()) == 5
    desk.ingest(path, Options(accept_unchanged=True))
    assert len(desk.drawn.labelled()) == 6
    share = summarise(desk.project, desk.folder).batches[0].corrected[""]
    assert share == pytest.approx(2 * other.shape[1] / (2 * other.size))


def _in_order(desk, taken):
    return [taken.verdicts[row.id] for row in read_batches(desk.folder)[0].rows]


def test_a_submitted_annotation_proves_a_person(desk):
    truths = desk.truths()
    for stem, mask in truths.items():
        desk.propose(stem, mask)
    desk.ingest(desk.give(truths, "back.json", annotators.labelstudio))
    assert len(desk.drawn.labelled()) == 6


def test_rejected_images_leave_the_pool_with_their_reason(desk):
    truths = desk.truths()
    stems = list(truths)
    some = {stem: truths[stem] for stem in stems[:4]}
    path = desk.give(some, "back.json", annotators.labelstudio, rejected=stems[4:])
    desk.ingest(path)
    state = desk.state()
    assert state.open_batch is None
    assert len(state.rejected) == 2
    assert state.counts() == {"pool": 18, "asked": 0, "labelled": 4, "rejected": 2}
    assert not {frame.id for frame in state.candidates} & state.rejected.keys()


def test_a_labelled_image_is_not_rejected_by_a_later_delivery(desk):
    truths = desk.truths()
    stem = next(iter(truths))
    desk.ingest(desk.give(truths))
    taken = desk.ingest(desk.give({}, "no", rejected=[stem]))
    (said,) = taken.verdicts.values()
    assert said["verdict"] == "refused"
    assert len(desk.drawn.labelled()) == 6


def test_several_annotators_need_a_word_and_their_agreement_is_told(desk):
    truths = desk.truths()
    stem = next(iter(truths))
    other = truths[stem].copy()
    other[:4] = 2
    one = json.loads(desk.give({stem: truths[stem]}, "1.json", annotators.labelstudio).read_text())
    two = json.loads(desk.give({stem: other}, "2.json", annotators.labelstudio).read_text())
    two[0]["annotations"][0] |= {"completed_by": {"email": "b@x"}, "updated_at": "2027-01-01"}
    one[0]["annotations"] += two[0]["annotations"]
    path = desk.root / "both.json"
    path.write_text(json.dumps(one))
    (said,) = desk.ingest(path).verdicts.values()
    assert said["verdict"] == "refused"
    assert "7, b@x" in said["why"]
    assert desk.drawn.labelled() == {}
    taken = desk.ingest(path, Options(annotator="latest"))
    ((image, said),) = taken.verdicts.items()
    np.testing.assert_array_equal(desk.drawn.labelled()[image], other)
    ((first, second, miou),) = said["agreement"]
    assert (first, second) == ("7", "b@x")
    assert 0 < miou < 100
    for said in (Options(), Options(annotator="latest"), Options(annotator="b@x")):
        assert desk.ingest(path, said).known
    taken = desk.ingest(path, Options(annotator="7"))
    assert not taken.known
    np.testing.assert_array_equal(desk.drawn.labelled()[image], truths[stem])
    kept = desk.folder.batch(1).replaced / taken.verdicts[image]["replaced"]
    np.testing.assert_array_equal(np.array(Image.open(kept)), other)
    assert summarise(desk.project, desk.folder).agreement == (pytest.approx(miou), 1)
    taken = desk.ingest(path, Options(annotator="c@x"))
    assert taken.known
    assert taken.verdicts[image]["verdict"] == "labelled"
    assert "no annotation of c@x; what was taken of it stays" in taken.refused[0].why


def test_people_without_a_pixel_in_common_have_no_agreement(desk):
    stem, truth = next(iter(desk.truths().items()))
    upper, lower = truth.copy(), truth.copy()
    upper[4:], lower[:4] = 255, 255
    one = json.loads(desk.give({stem: upper}, "1.json", annotators.labelstudio).read_text())
    two = desk.give({stem: lower}, "2.json", annotators.labelstudio, annotator=8)
    one[0]["annotations"] += json.loads(two.read_text())[0]["annotations"]
    path = desk.root / "both.json"
    path.write_text(json.dumps(one))
    taken = desk.ingest(path, Options(annotator="latest"))
    assert taken.count(Verdict.LABELLED) == 1
    assert summarise(desk.project, desk.folder).agreement is None


def test_a_mask_that_was_lost_is_taken_again_from_the_same_delivery(desk):
    path = desk.give(desk.truths())
    taken = desk.ingest(path)
    image = next(iter(taken.verdicts))
    desk.drawn.mask_path(image).unlink()
    assert len(desk.state().waiting(desk.state().open_batch)) == 1
    assert not desk.ingest(path).known
    assert desk.state().open_batch is None
    np.testing.assert_array_equal(desk.drawn.labelled()[image], desk.drawn.truths[image])
    assert desk.ingest(path).known
    desk.drawn.mask_path(image).unlink()
    stem = next(row.stem for row in read_batches(desk.folder)[0].rows if row.id == image)
    desk.ingest(desk.give({}, "no", rejected=[stem]))
    desk.ingest(path)  # rejected since: it does not wait any more
    assert image not in desk.drawn.labelled()


def test_rejected_in_a_list_counts_more_than_an_untouched_proposal(desk):
    truths = desk.truths()
    rejected, drawn, *_ = truths
    desk.propose(rejected, truths[rejected])
    desk.propose(drawn, (truths[drawn] + 1) % 3)
    path = desk.give(truths, rejected=[rejected, drawn])
    taken = desk.ingest(path, Options(accept_unchanged=True))
    first, second, *others = _in_order(desk, taken)
    assert first["verdict"] == "rejected"
    assert second["verdict"] == "refused"
    assert "rejected and has a mask too" in second["why"]
    assert {said["verdict"] for said in others} == {"labelled"}


def test_hours_come_from_the_tool_or_from_the_user(desk):
    truths = desk.truths()
    desk.ingest(desk.give(truths, "back.json", annotators.labelstudio))
    assert summarise(desk.project, desk.folder).batches[0].hours == pytest.approx(6 * 30.5 / 3600)
    desk.ingest(desk.give(truths), Options(hours=6.5))
    assert summarise(desk.project, desk.folder).batches[0].hours == 6.5


def test_hours_of_a_delivery_are_shared_by_the_batches_in_it(desk):
    desk.select(anyway=True)
    truths = {**desk.truths(1), **dict(list(desk.truths(2).items())[:2])}
    path = desk.give(truths)
    for hours in (8, 4):
        assert not desk.ingest(path, Options(hours=hours)).known
        found = [batch.hours for batch in summarise(desk.project, desk.folder).batches]
        assert found == [pytest.approx(hours * 6 / 8), pytest.approx(hours * 2 / 8)]
    assert desk.ingest(path, Options(hours=4)).known
    assert desk.ingest(path).known


@pytest.mark.parametrize("hours", [float("nan"), float("inf"), -1])
def test_hours_that_are_no_number_of_hours_are_refused_before_anything_is_taken(desk, hours):
    path = desk.give(desk.truths())
    with pytest.raises(InputError, match="hours"):
        desk.ingest(path, Options(hours=hours))
    assert desk.drawn.labelled() == {}


def test_a_delivery_is_read_again_where_its_masks_are_said_to_mean_something_else(desk):
    truths = desk.truths()
    back = desk.give(truths)
    for file in back.glob("*.png"):
        with Image.open(file) as image:
            image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])  # PASCAL VOC's
            image.save(file)
    written = []
    for said in ("colours", "ids", "ids"):
        taken = desk.ingest(back, Options(mask_values=said))
        assert taken.count(Verdict.LABELLED) == len(truths)
        written.append(desk.tree())
    assert written[0] != written[1] == written[2]
    other = Desk(back.parent / "other")
    other.select()
    other.ingest(other.give(truths))
    for mask in (other.root / "data" / "labels").rglob("*.png"):
        same = desk.root / mask.relative_to(other.root)
        assert same.read_bytes() == mask.read_bytes()


def test_what_is_refused_is_recorded_and_the_rest_is_taken(desk):
    truths = desk.truths()
    stems = list(truths)
    path = desk.give({**truths, stems[0]: np.full((5, 5), 1, np.uint8)})
    taken = desk.ingest(path)
    assert taken.count(Verdict.REFUSED) == 1
    assert len(desk.drawn.labelled()) == 5
    (record,) = desk.folder.batch(1).received.glob("*.json")
    assert "5x5" in json.dumps(json.loads(record.read_text())["refused"])


def test_a_delivery_without_a_batch_or_without_a_mask_is_an_error(tmp_path, desk):
    empty = Desk(tmp_path / "new")
    with pytest.raises(InputError, match="no batch"):
        empty.ingest(tmp_path)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no mask of a batch"):
        desk.ingest(tmp_path / "nothing")


def test_unlabelled_pixels_become_what_the_project_says(tmp_path):
    ignoring = Desk(tmp_path / "a")
    ground = Desk(tmp_path / "b", unlabelled="ground")
    for desk, value in ((ignoring, 255), (ground, 0)):
        desk.select()
        truths = desk.truths()
        stem = next(iter(truths))
        holed = truths[stem].copy()
        holed[:3] = 255
        desk.ingest(desk.give({stem: holed}, "back.zip", annotators.cvat_xml))
        (mask,) = desk.drawn.labelled().values()
        assert (mask[:3] == value).all()


def test_a_damaged_image_holds_up_no_mask_but_its_own(desk):
    truths = desk.truths()
    rows = read_batches(desk.folder)[0].rows
    damaged, rejected = (desk.root / "data" / row.id for row in rows[:2])
    for path in (damaged, rejected):
        path.write_bytes(b"no image")
    given = {row.stem: truths[row.stem] for row in rows if row != rows[1]}
    taken = desk.ingest(desk.give(given, rejected=[rows[1].stem]))
    assert taken.count(Verdict.LABELLED) == 4
    assert taken.verdicts[rows[1].id]["verdict"] == "rejected"
    assert taken.verdicts[rows[0].id]["verdict"] == "refused"
    assert str(damaged) in taken.verdicts[rows[0].id]["why"]
    with pytest.raises(InputError, match="not an image"):
        hand_over(
            desk.project, desk.folder, desk.state(), desk.state().batches[0], "cvat", SERVICES
        )


def test_a_file_in_place_of_the_masks_folder_is_an_error_that_says_so(desk):
    (desk.root / "data" / "labels").write_text("")
    with pytest.raises(InputError, match=r"labels.* no folder, or lies below a file"):
        desk.ingest(desk.give(desk.truths()))


TWO_VALUES = {
    "values": {0: "ground", 100: "box", 200: "ball"},
    "classes": ["ground", "box", "ball"],
}


@pytest.mark.parametrize(
    ("fields", "unlabelled", "said"),
    [
        (TWO_VALUES, "ignore", "are refused: the project's masks have no value"),
        ({**TWO_VALUES, "ignore": 7}, "ignore", "are ignored"),
        (TWO_VALUES, "box", "become `box`"),
    ],
)
@pytest.mark.parametrize("tool", ["folder", "cvat", "labelstudio"])
def test_people_are_told_what_happens_to_pixels_without_a_class(
    tool, fields, unlabelled, said, tmp_path
):
    desk = Desk(tmp_path, unlabelled=unlabelled)
    desk.drawn.plain["dataset"] |= fields
    batch, notes = desk.select().batch, []
    services = replace(SERVICES, note=notes.append)
    home = hand_over(desk.project, desk.folder, desk.state(), batch, tool, services)
    assert f"Pixels without a class {said}" in (home / "HOW-TO.md").read_text()
    assert bool(notes) == ("refused" in said)
    stem, truth = next(iter(desk.truths().items()))
    holed = truth.copy()
    holed[:3] = 255
    taken = desk.ingest(desk.give({stem: holed}), Options(mask_values="ids"))
    assert taken.count(Verdict.REFUSED) == ("refused" in said)
