"""The audit of choices and the pictures of steps, on a pool whose answers are plain."""

import numpy as np
import pytest
from factories.study import MadeStudy

from alspec.results.illustrations import read_illustrations
from alspec.results.provenance import versions_of
from alspec.results.selection_files import write_selections
from alspec.results.selections import audit_of
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import write_csv, write_json, write_text

SEQUENCES = {"a": range(6), "b": range(6)}
IDS = [f"{name}/{n}" for name, frames in SEQUENCES.items() for n in frames]


def made_with(tmp_path, pixels=None, **chosen):
    """A study of 12 images with two labelled ones, then two more, chosen by hand."""
    from alspec.spec.model import Budget

    budget = Budget(name="u", unit="images", initial=2, step=2, cycles=2)
    made = MadeStudy(
        methods=tuple(chosen), ssl=(False,), seeds=(0,), budgets=(budget,), pool_images=12,
        full=False,
    )  # fmt: skip
    store = Store(tmp_path)
    (pool,) = made.pools.values()
    with store.draft(pool, {}) as draft:
        write_csv(draft / "pool.csv", ("id", "sequence"), [(i, i.split("/")[0]) for i in IDS])
        write_json(draft / "pool.json", {})
        if pixels is not None:
            np.save(draft / "class_pixels.npy", np.asarray(pixels, np.uint32))
    initial = ["a/0", "b/0"]
    for run in made.plan.runs:
        for labelled, ids in zip(run.sets, (initial, [*initial, *chosen[run.method]]), strict=True):
            if store.is_done(labelled.acquire):
                continue
            with store.draft(labelled.acquire, {}) as draft:
                write_text(draft / "labelled.txt", "".join(f"{i}\n" for i in ids))
                if run.method == "entropy" and labelled.cycle == 1:
                    ranked = [*ids[2:], *(i for i in IDS if i not in ids)]
                    rows = [(image, f"{0.9 - n / 100!r}") for n, image in enumerate(ranked)]
                    write_csv(draft / "scores.csv", ("id", "score"), rows)
                if run.method == "coreset" and labelled.cycle == 1:
                    write_csv(draft / "embedding.csv", ("id", "x", "y"), [(IDS[0], 1, 2)])
                    (draft / "picks.jpg").write_bytes(b"jpeg")
    return made, store


def test_views_near_copies_and_sequences_are_counted(tmp_path):
    made, store = made_with(tmp_path, entropy=["a/4", "a/5"], coreset=["a/3", "b/1"])
    audit = audit_of(made.plan, made.plan.settings[0], store)
    entropy, coreset = audit.rows
    assert (entropy.name, entropy.images) == ("entropy", 2)
    assert entropy.near_copies == 100  # both are neighbours of one another
    assert entropy.views == 50  # the second shows what the first showed
    assert entropy.sequences == 50
    assert coreset.near_copies == 0
    assert coreset.views == 50  # b/1 is beside b/0 of the initial set
    assert coreset.sequences == 100
    assert coreset.first == ("a/3", "b/1")


def test_each_cycle_says_what_it_added_with_rank_and_score(tmp_path):
    made, store = made_with(tmp_path / ".store", entropy=["a/4", "b/5"], coreset=["=cmd()", "b/1"])
    for run in made.plan.runs:
        for labelled in run.sets:
            with store.draft(labelled.evaluate, {}):
                pass
    folder = StudyFolder(tmp_path, made.plan.study.study)
    stale = folder.picks("camvid_u_gone_seed0", 1)
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    write_selections(made.plan, folder)
    entropy, coreset = (run.name for run in made.plan.runs)
    said = {run: folder.picks(run, 1).read_text() for run in (entropy, coreset)}
    assert said[entropy] == "rank,id,score\n1,a/4,0.9\n2,b/5,0.89\n"
    assert said[coreset] == "rank,id,score\n1,'=cmd(),\n2,b/1,\n"
    assert folder.picks(entropy, 0).read_text() == "rank,id,score\n1,a/0,\n2,b/0,\n"
    assert folder.selection(entropy, 1).read_text() == "a/0\nb/0\na/4\nb/5\n"
    assert not stale.exists()
    assert len(list(folder.root.glob("selections_before/*/picks_1.csv"))) == 1


def test_overlap_is_jaccards(tmp_path):
    made, store = made_with(tmp_path, entropy=["a/4", "a/5"], coreset=["a/4", "b/1"])
    audit = audit_of(made.plan, made.plan.settings[0], store)
    assert audit.overlap == {(0, 1): pytest.approx(100 / 3)}


def test_classes_bought_are_shares_of_pixels_that_count(tmp_path):
    # Classes 0 to 4, then ignored pixels, which are in no share.
    pixels = np.array([[60, 30, 10, 0, 0, 900]] * 12)
    pixels[IDS.index("a/5")] = [0, 80, 120, 0, 0, 0]
    made, store = made_with(tmp_path, pixels, entropy=["a/4", "a/5"], coreset=["a/3", "b/1"])
    evaluate = made.plan.runs[0].sets[0].evaluate
    with store.draft(evaluate, {}) as draft:
        write_json(draft / "evaluate.json", {"classes": list("vwxyz"), "images": 5})
        np.save(draft / "confusion.npy", np.eye(5, dtype=np.int64))
    found = audit_of(made.plan, made.plan.settings[0], store).classes
    assert found.names == tuple("vwxyz")
    np.testing.assert_allclose(found.pool, np.array([660, 410, 230, 0, 0]) / 13)
    np.testing.assert_allclose(found.chosen, [[20, 110 / 3, 130 / 3, 0, 0], [60, 30, 10, 0, 0]])
    np.testing.assert_allclose(found.ratios[0, :3], [260 / 660, 1430 / 1230, 1690 / 690])
    assert np.isnan(found.ratios[:, 3:]).all()  # the pool has none of them


@pytest.mark.parametrize("pixels", [None, np.ones((12, 3))])
def test_without_counts_of_these_classes_nothing_is_said_of_them(tmp_path, pixels):
    made, store = made_with(tmp_path, pixels, entropy=["a/4", "a/5"])
    assert audit_of(made.plan, made.plan.settings[0], store).classes is None


def test_the_sheet_of_a_method_that_sees_nothing_is_beside_its_training(tmp_path):
    made, store = made_with(tmp_path, random=["a/4", "a/5"], coreset=["a/3", "b/1"])
    run = next(run for run in made.plan.runs if run.method == "random")
    with store.draft(run.sets[1].train, {}) as draft:
        write_json(draft / "train.json", {})
        (draft / "picks.jpg").write_bytes(b"random's")
    found = read_illustrations(made.plan, store).picks
    assert {method: data for (_, method), data in found.items()} == {
        "random": b"random's", "coreset": b"jpeg",
    }  # fmt: skip


def test_without_a_pool_there_is_no_audit(tmp_path):
    made = MadeStudy(methods=("random",), seeds=(0,))
    made.commit(Store(tmp_path))
    assert audit_of(made.plan, made.plan.settings[0], Store(tmp_path)) is None


def test_pictures_are_read_where_steps_stored_them(tmp_path):
    made, store = made_with(tmp_path, entropy=["a/4", "a/5"], coreset=["a/3", "b/1"])
    found = read_illustrations(made.plan, store)
    ((arm, embedding),) = found.embeddings.items()
    assert arm[:3] == ("camvid", "11f", "u")
    assert embedding.points == [("a/0", 1.0, 2.0)]
    assert embedding.initial == {"a/0", "b/0"}
    assert embedding.chosen == {
        "entropy": frozenset({"a/4", "a/5"}),
        "coreset": frozenset({"a/3", "b/1"}),
    }
    assert found.picks == {(arm, "coreset"): b"jpeg"}
    assert found.examples == {}


def test_a_store_of_before_has_no_pictures(tmp_path):
    made = MadeStudy(methods=("random", "coreset"), seeds=(0,))
    made.commit(Store(tmp_path))
    found = read_illustrations(made.plan, Store(tmp_path))
    assert not found.embeddings
    assert not found.picks


def test_versions_are_named_once_and_hosts_never(tmp_path):
    store = Store(tmp_path)
    made = MadeStudy(methods=("random",), seeds=(0,), ssl=(False,), full=False)
    trained = [labelled.train for labelled in made.plan.runs[0].sets]
    for key, torch in zip(trained[:3], ("2.13.0", "2.13.0", "2.12.1"), strict=True):
        with store.draft(key, {}) as draft:
            versions = {"torch": torch, "python": "3.11.7"}
            write_json(draft / "train.json", {"host": "secret", "versions": versions})
    found = versions_of(store, trained)
    assert found == {"python": ("3.11.7",), "torch": ("2.13.0", "2.12.1")}
