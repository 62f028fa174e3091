"""`explain`, `--only` and `--until`: why steps run, which of them, and nothing else."""

from __future__ import annotations

import json

import pytest
import yaml
from factories.toy import TOY
from fakes.trainer import FakeTrainer, drawn

from alspec import api
from alspec.errors import InputError
from alspec.plan.naming_steps import steps_named
from alspec.run.explain import Explainer, State, in_words, reasons
from alspec.spec.model import Study
from alspec.store.study_folder import StudyFolder


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    monkeypatch.setattr("alspec.report.album.Album.draw", drawn)
    monkeypatch.setattr("os.fsync", lambda _: None)


def study_of(**changes):
    return Study.model_validate({**TOY, "ssl": [False], **changes})


def run(work_dir, study, **options):
    return api.run(study, work_dir=work_dir, devices="cpu", executor=FakeTrainer, **options)


def explained(work_dir, study):
    """By name, what is said of each step."""
    plan = api.plan(study)
    explainer = Explainer(plan, StudyFolder(work_dir, study.study).store)
    return {step.label: explainer.explain(step) for step in plan.in_order()}


def test_a_study_that_never_ran_is_new(tmp_path):
    found = explained(tmp_path, study_of())
    assert {one.state for one in found.values()} == {State.NEW}


def test_a_finished_study_is_done(tmp_path):
    run(tmp_path, study_of())
    assert {one.state for one in explained(tmp_path, study_of()).values()} == {State.DONE}


def test_the_field_that_changed_is_named_with_both_values(tmp_path):
    run(tmp_path, study_of())
    changed = {**TOY["training"], "epochs": 2}
    found = explained(tmp_path, study_of(training=changed))
    train = found["toy 20-20 entropy seed 0 cycle 1 train"]
    assert train.state is State.CHANGED
    assert [in_words(change) for change in train.changes] == ["training.epochs: 1 -> 2"]
    evaluate = found["toy 20-20 entropy seed 0 cycle 1 evaluate"]
    assert evaluate.state is State.UPSTREAM
    assert [(change.step, change.field) for change in evaluate.changes] == [
        (train.step, "training.epochs")
    ]
    assert found["toy pool"].state is State.DONE
    ((state, count, why),) = reasons([one for one in found.values() if one.state is not State.DONE])
    assert (state, why) == ("changed", "training.epochs: 1 -> 2")
    assert count == sum(one.state is not State.DONE for one in found.values())


def test_what_was_added_is_new_and_the_rest_is_done(tmp_path):
    methods = ["random", "entropy", "coreset"]
    run(tmp_path, study_of(keep="all"))
    found = explained(tmp_path, study_of(keep="all", methods=methods))
    states = {label: one.state for label, one in found.items() if one.state is not State.DONE}
    assert set(states.values()) == {State.NEW}
    assert all("coreset" in label for label in states)


def test_weights_that_were_dropped_and_are_read_again_are_told(tmp_path):
    run(tmp_path, study_of(methods=["random", "entropy"]))
    found = explained(tmp_path, study_of(methods=["random", "entropy", "coreset"]))
    dropped = [label for label, one in found.items() if one.state is State.DROPPED]
    assert dropped == ["toy 20-20 random seed 0 cycle 0 train"]


def test_explaining_writes_nothing(tmp_path):
    run(tmp_path, study_of())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    explained(tmp_path, study_of(seeds=[1]))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("toy pool", {"toy pool"}),
        ("cycle 1 entropy train", {"toy 20-20 entropy seed 0 cycle 1 train"}),
        ("*entropy*acquire", {"toy 20-20 entropy seed 0 cycle 1 acquire"}),
    ],
)
def test_steps_are_named_by_words_or_patterns(name, labels):
    plan = api.plan(study_of())
    assert {step.label for step in steps_named(plan, [name])} == labels
    (first, *_) = plan.in_order()
    assert steps_named(plan, [first.key[:8]]) == [first]


def test_the_numbers_of_a_name_are_those_of_its_seed_and_cycle():
    plan = api.plan(study_of(seeds=[0, 1], methods=["entropy"]))
    named = [step.label for step in steps_named(plan, ["train entropy seed 1 cycle 1"])]
    assert named == ["toy 20-20 entropy seed 1 cycle 1 train"]


def test_a_name_that_means_nothing_is_met_with_a_suggestion():
    with pytest.raises(InputError, match="Did you mean `entropy` by `entorpy`"):
        steps_named(api.plan(study_of()), ["entorpy cycle 1"])


def test_until_runs_steps_with_what_they_need_and_nothing_after(tmp_path):
    done = run(tmp_path, study_of(), until=["entropy cycle 1 acquire"])
    states = {label: one.state for label, one in explained(tmp_path, study_of()).items()}
    finished = {label for label, state in states.items() if state is State.DONE}
    assert "toy 20-20 entropy seed 0 cycle 1 acquire" in finished
    assert "toy 20-20 entropy seed 0 cycle 1 train" not in finished
    assert not any("evaluate" in label for label in finished)
    assert done.executed == len(finished)
    assert run(tmp_path, study_of()).failed == {}
    assert {one.state for one in explained(tmp_path, study_of()).values()} == {State.DONE}


def test_only_runs_steps_whose_inputs_are_done(tmp_path):
    with pytest.raises(InputError, match="--until runs them too"):
        run(tmp_path, study_of(), only=["entropy cycle 1 train"])
    run(tmp_path, study_of(), until=["entropy cycle 1 acquire"])
    done = run(tmp_path, study_of(), only=["entropy cycle 1 train"])
    assert done.executed == 1
    assert run(tmp_path, study_of(), only=["entropy cycle 1 train"]).executed == 0


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**TOY, "ssl": [False]}))
    return tmp_path / "study.yaml"


def test_the_command_names_reasons_and_steps(spec, tmp_path, cli):
    run(tmp_path / "work_dirs", study_of())
    assert "12 of 12 steps done" in cli("explain", "study.yaml")[1]
    edit = ("--set", "training.epochs=3")
    code, out, _ = cli("explain", "study.yaml", *edit)
    assert code == 0
    assert "training.epochs: 1 -> 3" in out
    _, out, _ = cli("explain", "study.yaml", "entropy", "cycle", "1", "train", *edit)
    assert out.startswith("toy 20-20 entropy seed 0 cycle 1 train (")
    assert "training.epochs: 1 -> 3" in out
    _, out, _ = cli("explain", "study.yaml", "cycle 1 train", "--json", *edit)
    (first, *_) = json.loads(out)["steps"]
    assert (first["state"], first["changes"][0]["new"]) == ("changed", 3)
    assert cli("explain", "study.yaml", "nothing")[0] == 2


def test_status_watches_until_all_is_done(spec, tmp_path, cli, monkeypatch):
    from alspec.cli import status as commands

    study, waits = study_of(), []

    def sleep(seconds):
        waits.append(seconds)
        run(tmp_path / "work_dirs", study)

    monkeypatch.setattr(commands.time, "sleep", sleep)
    code, out, _ = cli("status", "study.yaml", "--watch")
    assert code == 0
    assert waits == [commands.WATCH_SECONDS]
    assert out.count("steps done") == 2
