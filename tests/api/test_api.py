"""What Python users call, from a script, from the parent folder of a clone, in a notebook."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from factories import annotators
from factories.drawn_project import CLASSES, DrawnProject
from factories.toy import TOY
from fakes.trainer import FakeTrainer, Heard

import alspec
from alspec import api
from alspec.errors import ExitCode
from alspec.labelling.outcomes import CheckedProject
from alspec.spec.load import dump_project

ROOT = Path(__file__).parents[2]
TINY = {"training.epochs": 1, "seeds": [0], "methods": ["random"], "ssl": False, "baselines": []}

SEVEN_LINES = f"""
import alspec
study  = alspec.load({str(ROOT / "specs" / "quickstart.yaml")!r}, {TINY!r})
plan   = alspec.plan(study)
done   = alspec.run(study, devices="cpu", work_dir="work_dirs", progress=print)
done   = alspec.results("work_dirs/quickstart")
advice = alspec.recommend(redundancy="high", budget="low")
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TOY))
    return path


def python(code, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
    )


def test_overrides_are_a_mapping_or_the_command_lines(spec):
    by_mapping = alspec.load(spec, {"training.lr": 0.5, "seeds": [3], "ssl": False})
    assert by_mapping == alspec.load(spec, ["training.lr=0.5", "seeds=[3]", "ssl=false"])
    assert (by_mapping.training.lr, by_mapping.seeds, by_mapping.ssl) == (0.5, (3,), (False,))


def test_an_override_may_be_a_path_but_nothing_that_yaml_lacks(spec, tmp_path):
    weights = tmp_path / "weights.pth"
    assert alspec.load(spec, {"pretrained": weights}).pretrained == str(weights)
    with pytest.raises(alspec.AlspecError, match=r"seeds: .*cannot be written in a spec"):
        alspec.load(spec, {"seeds": {1, 2}})


@pytest.mark.parametrize("wrong", [{"redundancy": "hihg"}, {"budget": "mid"}, {"ssl": "yes"}])
def test_the_guide_is_asked_only_what_it_knows(wrong):
    with pytest.raises(alspec.AlspecError, match="is not one of") as caught:
        alspec.recommend(**wrong)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_a_plan_is_a_table_with_a_row_a_labelled_set(spec):
    plan = alspec.plan(alspec.load(spec))
    table = plan.table()
    assert len(table) == plan.trainings_unshared
    assert list(table.columns[:4]) == ["dataset", "pool", "budget", "method"]
    assert set(table["labelled_images"]) == {4, 8, 20}
    assert (len(plan.settings), len(plan.runs)) == (1, 5)


def test_a_run_gives_what_its_csvs_hold(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)
    heard = Heard()
    study = alspec.load(spec)
    done = alspec.run(
        study, devices="cpu:2", work_dir=tmp_path, progress=heard, executor=FakeTrainer
    )
    assert done.ok
    assert (int(done.executed), len(done.executed)) == (len(done.plan.steps),) * 2
    assert (dict(done.failed), done.report) == ({}, tmp_path / "tiny" / "report.md")
    assert len(heard.ends) == done.executed
    for frame, name in (
        (done.results, "results"),
        (done.classes, "classes"),
        (done.curves, "runs"),
    ):
        written = pd.read_csv(tmp_path / "tiny" / f"{name}.csv")
        assert list(frame.columns) == list(written.columns)
        assert len(frame) == len(written) > 0
    again = alspec.results(tmp_path / "tiny")
    assert again.ok
    assert again.executed == 0
    pd.testing.assert_frame_equal(again.results, done.results)
    assert "AUC" in again._repr_html_() or "mIoU" in again._repr_html_()


def test_errors_are_the_command_lines_with_its_exit_code(spec, tmp_path):
    misspelt = spec.with_name("misspelt.yaml")
    misspelt.write_text(yaml.safe_dump({**TOY, "methods": ["entropi"]}))
    with pytest.raises(alspec.AlspecError, match=r"misspelt\.yaml:\d+:\d+.*`entropy`") as caught:
        alspec.load(misspelt)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    study = alspec.load(
        spec, {"budgets": [{"name": "b", "unit": "images", "initial": 900, "step": 1}]}
    )
    with pytest.raises(alspec.AlspecError) as caught:
        alspec.plan(study)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    with pytest.raises(alspec.AlspecError, match="is not a study's folder"):
        alspec.results(tmp_path)


def test_a_labelling_project_goes_from_load_to_results(tmp_path):
    drawn = DrawnProject(tmp_path, 12)
    path = tmp_path / "project.yaml"
    path.write_text(dump_project(drawn.project))
    work = {"work_dir": tmp_path / "work"}
    project = alspec.load(path, {"first": "uniform"})
    assert alspec.check(project) == CheckedProject(images=12, masks=0)
    assert list(alspec.plan(project, **work).table()) == list(alspec.plan(project).table())
    made = alspec.select(project, 4, to="cvat", **work)
    assert (made.new, len(made.batch.rows), made.waiting) == (True, 4, 4)
    assert (made.hand_over / "annotations.xml").is_file()
    truths = annotators.truths_of(made.batch.folder.table, drawn.truths.__getitem__)
    back = annotators.folder_of_masks(tmp_path / "back", truths, CLASSES)
    given = alspec.ingest(project, back, hours=2.0, **work)
    assert (given.waiting, given.deliveries[0].refused) == (0, [])
    done = alspec.results(tmp_path / "work" / "drawn")
    assert (done.ok, done.summary.counts["labelled"]) == (False, 4)  # no model yet
    assert done.batches.loc[0, ["asked", "labelled", "hours"]].tolist() == [4, 4, 2.0]
    assert done.results.empty
    assert alspec.publish(project, **work).report.read_text().startswith("# drawn")
    with pytest.raises(alspec.AlspecError, match="no model yet"):
        alspec.predict(project, tmp_path / "masks", **work)
    with pytest.raises(alspec.AlspecError, match="drawn: is a labelling project"):
        alspec.run(project, only=["train"], **work)


@pytest.mark.parametrize("name", ["plan", "run", "results", "recommend"])
def test_packages_of_the_functions_names_are_callable_and_still_packages(name):
    package = getattr(alspec, name)
    assert inspect.signature(package) == inspect.signature(getattr(api, name))
    assert package.__path__


def test_importing_alspec_is_quick_and_loads_no_torch(tmp_path):
    code = "import sys, alspec; print(json.dumps(sorted(sys.modules)))"
    ended = python(f"import json; {code}", tmp_path)
    modules = json.loads(ended.stdout)
    assert not {"torch", "pandas", "numpy", "pydantic", "typer"} & set(modules), ended.stderr


def test_the_design_runs_from_the_parent_folder_of_a_clone(tmp_path):
    """A folder named alspec in the current folder does not hide the installed package."""
    (tmp_path / "alspec" / "specs").mkdir(parents=True)
    ended = python(f"{SEVEN_LINES}\nprint(alspec.__version__, done.ok, advice[0].label)", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"{alspec.__version__} True Batch"
    assert "torch" not in ended.stderr


@pytest.mark.slow
def test_the_design_runs_in_a_notebook_with_a_plot_inline(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [*SEVEN_LINES.strip().splitlines(), "done", "done.plot()"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(
        book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown, plotted = (cell.outputs[-1]["data"] for cell in book.cells[-2:])
    assert "text/html" in shown
    assert "image/png" in plotted
