import csv
import math

import numpy as np
import pytest
from factories.study import CLASSES, MadeStudy

from alspec.errors import StoreError
from alspec.results.selection_files import write_selections
from alspec.results.stats import area_under_budget, miou_of
from alspec.results.table import collect, cycle_at, write_tables
from alspec.spec.model import Budget, Evaluation
from alspec.store.store import Store

IDENTITY = "study,dataset,pool,budget,method,family,ssl,mc_dropout,seed"
HEADERS = {
    "results": f"{IDENTITY},cycle,labelled_images,labelled_percent,"
    "miou,train_seconds,acquire_seconds,device,train_key",
    "classes": f"{IDENTITY},cycle,labelled_images,labelled_percent,class,iou,intersection,union",
    "runs": f"{IDENTITY},auc,auc_budget,miou_at,miou_at_budget",
}
SMALL = {"methods": ("random", "entropy"), "seeds": (0, 1)}


def rows_of(folder, name):
    with folder.table(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_have_the_columns_users_rely_on(tmp_path):
    folder = MadeStudy(**SMALL).in_folder(tmp_path)
    write_tables(MadeStudy(**SMALL).plan, folder)
    for name, header in HEADERS.items():
        assert folder.table(name).read_text("utf-8").splitlines()[0] == header


def test_a_row_says_what_its_steps_said(tmp_path):
    made = MadeStudy(**SMALL)
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    row = next(
        row
        for row in rows_of(folder, "results")
        if (row["method"], row["ssl"], row["seed"], row["cycle"]) == ("entropy", "1", "1", "3")
    )
    run = next(r for r in made.plan.runs if r.method == "entropy" and r.ssl and r.seed == 1)
    labelled = run.sets[3]
    assert row["miou"] == f"{miou_of(made.confusions[labelled.evaluate]):.4f}"
    assert row["labelled_images"] == "1056"
    assert row["labelled_percent"] == "40.0000"
    assert row["train_seconds"] == "1234.568"
    assert row["acquire_seconds"] == "5.000"
    assert row["device"] == "NVIDIA H100"
    assert row["train_key"] == labelled.train
    assert row["mc_dropout"] == "0"


def test_rows_stand_in_the_plans_order(tmp_path):
    made = MadeStudy(**SMALL)
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    expected = [
        (run.method, str(int(run.ssl)), str(run.seed), str(labelled.cycle))
        for run in made.plan.runs
        for labelled in run.sets
    ]
    found = [(r["method"], r["ssl"], r["seed"], r["cycle"]) for r in rows_of(folder, "results")]
    assert found == expected


def test_classes_add_up_to_the_miou(tmp_path):
    made = MadeStudy(methods=("entropy",), ssl=(False,), seeds=(0,), full=False)
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    classes = [row for row in rows_of(folder, "classes") if row["cycle"] == "2"]
    assert [row["class"] for row in classes] == list(CLASSES)
    assert classes[-1]["iou"] == ""
    assert classes[-1]["union"] == "0"
    ious = [100 * int(r["intersection"]) / int(r["union"]) for r in classes[:-1]]
    miou = next(r["miou"] for r in rows_of(folder, "results") if r["cycle"] == "2")
    assert float(miou) == pytest.approx(sum(ious) / 4, abs=5e-5)


def test_runs_give_area_and_headline_budget(tmp_path):
    made = MadeStudy(**SMALL)
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    row, run = rows_of(folder, "runs")[0], made.plan.runs[0]
    curve = [miou_of(made.confusions[labelled.evaluate]) for labelled in run.sets]
    assert row["auc"] == f"{area_under_budget([0.1, 0.2, 0.3, 0.4, 0.5], curve):.4f}"
    assert (row["auc_budget"], row["miou_at_budget"]) == ("50.0000", "30.0000")
    assert row["miou_at"] == f"{curve[2]:.4f}"


@pytest.mark.parametrize(("miou_at", "found"), [((10, 20), 20), ((40, 20), 40), ((10, 33), 10)])
def test_methods_are_compared_after_the_initial_set_that_they_share(tmp_path, miou_at, found):
    made = MadeStudy(**SMALL, evaluation=Evaluation(miou_at=tuple(map(float, miou_at))))
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    assert {float(row["miou_at_budget"]) for row in rows_of(folder, "runs")} == {found}


def test_full_is_a_constant_curve_over_its_neighbours_budget(tmp_path):
    made = MadeStudy(**SMALL)
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    run = next(run for run in made.plan.runs if run.family == "full")
    miou = miou_of(made.confusions[run.sets[0].evaluate])
    (row, _) = [row for row in rows_of(folder, "runs") if row["family"] == "full"]
    assert float(row["auc"]) == pytest.approx(0.4 * miou, abs=5e-5)
    assert row["miou_at"] == f"{miou:.4f}"
    sets = [row for row in rows_of(folder, "results") if row["family"] == "full"]
    assert {(r["cycle"], r["labelled_percent"], r["acquire_seconds"]) for r in sets} == {
        ("0", "100.0000", "")
    }
    assert {row["method"] for row in sets} == {"full"}


def test_an_unfinished_run_has_no_area_but_its_finished_sets(tmp_path):
    made = MadeStudy(**SMALL)
    folder = made.in_folder(tmp_path, lambda run, labelled: labelled.cycle < 2)
    write_tables(made.plan, folder)
    sets = [row for row in rows_of(folder, "results") if row["family"] != "full"]
    assert {row["cycle"] for row in sets} == {"0", "1"}
    runs = [row for row in rows_of(folder, "runs") if row["family"] != "full"]
    assert {(r["auc"], r["auc_budget"]) for r in runs} == {("", "50.0000")}
    assert {(r["miou_at"], r["miou_at_budget"]) for r in runs} == {("", "30.0000")}


def test_an_empty_store_gives_empty_tables(tmp_path):
    made = MadeStudy(**SMALL)
    folder = made.in_folder(tmp_path, lambda run, labelled: False)
    results = write_tables(made.plan, folder)
    for name, frame in results.tables().items():
        assert frame.empty
        assert folder.table(name).read_text("utf-8") == HEADERS[name] + "\n"


def test_a_study_without_area_leaves_it_empty(tmp_path):
    made = MadeStudy(**SMALL, evaluation=Evaluation(miou_at=(33.0,), auc=False))
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    cells = {(r["auc"], r["auc_budget"], r["miou_at"]) for r in rows_of(folder, "runs")}
    assert cells == {("", "", "")}


def test_the_first_percentage_that_the_budget_has_is_the_headline(tmp_path):
    budget = Budget(name="3k", unit="images", initial=1000, step=1000, cycles=3)
    made = MadeStudy(methods=("random",), seeds=(0,), budgets=(budget,), pool_images=40135)
    made.commit(Store(tmp_path))
    runs = collect(made.plan, Store(tmp_path)).runs
    assert set(runs["miou_at_budget"]) == {7.5}
    assert not runs["miou_at"].isna().any()


@pytest.mark.parametrize(
    ("percent", "cycle"), [(30, 2), (30.04, 2), (30.06, None), (10, 0), (60, None)]
)
def test_a_percentage_is_found_within_a_twentieth_of_a_point(percent, cycle):
    assert cycle_at((10.0, 20.0, 30.0), percent) == cycle


def test_selections_are_the_cumulative_labelled_sets(tmp_path):
    made = MadeStudy(methods=("entropy",), ssl=(True,), seeds=(7,))
    folder = made.in_folder(tmp_path, lambda run, labelled: labelled.cycle < 4)
    write_selections(made.plan, folder)
    written = sorted(p.relative_to(folder.root).as_posix() for p in folder.root.rglob("*.txt"))
    run = "camvid_10-10_entropy-ssl_seed7"
    assert written == [f"selections/{run}/cycle_{k}.txt" for k in range(4)]
    text = folder.selection(run, 1).read_text("utf-8")
    assert text == "seq/entropy_0.png\nseq/entropy_1.png\n"


def test_writing_again_gives_the_same_bytes(tmp_path):
    made = MadeStudy(**SMALL, dropout=("random", "bald"))
    folder = made.in_folder(tmp_path)
    write_tables(made.plan, folder)
    write_selections(made.plan, folder)
    before = {p: p.read_bytes() for p in folder.root.rglob("*.*")}
    stamp = folder.selection(made.plan.runs[0].name, 0).stat().st_mtime_ns
    write_tables(made.plan, folder)
    write_selections(made.plan, folder)
    assert {p: p.read_bytes() for p in folder.root.rglob("*.*")} == before
    assert folder.selection(made.plan.runs[0].name, 0).stat().st_mtime_ns == stamp


def test_an_evaluation_without_its_training_still_counts(tmp_path):
    made = MadeStudy(methods=("entropy",), ssl=(False,), seeds=(0,), full=False)
    store = Store(tmp_path)
    made.commit(store)
    train = made.plan.runs[0].sets[1].train
    for path in store.home(train).iterdir():
        path.unlink()
    sets = collect(made.plan, store).sets
    assert len(sets) == 5
    assert [math.isnan(seconds) for seconds in sets["train_seconds"]] == [
        False, True, False, False, False,
    ]  # fmt: skip


def test_a_damaged_artifact_is_an_error_and_not_a_number(tmp_path):
    made = MadeStudy(methods=("entropy",), ssl=(False,), seeds=(0,), full=False)
    store = Store(tmp_path)
    made.commit(store)
    np.save(store.home(made.plan.runs[0].sets[1].evaluate) / "confusion.npy", np.eye(5))
    with pytest.raises(StoreError, match="damaged"):
        collect(made.plan, store)
