"""What `status` and `plan --gpus` say: who is at which step, what failed, how long on many GPUs."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from fakes.trainer import run_study, tiny_plan

from alspec.plan.kinds import TRAIN
from alspec.run.at_work import Failure, failures, steps_at_work
from alspec.run.scaling import parse_counts, scaling
from alspec.store.leases import Leases
from alspec.store.study_folder import StudyFolder


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path, "tiny")


def test_a_step_at_work_is_told_with_process_host_and_job(folder, monkeypatch):
    plan = tiny_plan()
    key = next(iter(plan.steps))
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "123")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    monkeypatch.setattr("socket.gethostname", lambda: "gpu07")
    monkeypatch.setattr("alspec.store.leases.socket.gethostname", lambda: "gpu07")
    with closing(Leases(folder.store.folders.leases)) as leases:
        assert leases.take(key) is None
        before = sorted(folder.store.folders.leases.iterdir())
        (found,) = steps_at_work(plan, folder)
        assert sorted(folder.store.folders.leases.iterdir()) == before
    assert (found.step, found.host, found.job) == (plan.steps[key].label, "gpu07", "slurm-123_4")
    assert found.seconds == pytest.approx(0, abs=30)
    assert steps_at_work(plan, folder) == []


def test_a_failure_is_told_until_the_step_is_begun_again(folder):
    plan = tiny_plan()
    first, second = [step for step in plan.in_order() if step.kind is TRAIN][:2]
    for step in (first, second):
        folder.log_event({"event": "started", "key": step.key})
        event = {"event": "failed", "key": step.key, "message": "NaN", "log": "/l/worker 0.txt"}
        folder.log_event(event)
    folder.log_event({"event": "started", "key": second.key})
    assert failures(plan, folder) == [Failure(first.label, "NaN", "/l/worker 0.txt")]


def test_status_prints_both(tmp_path, monkeypatch, toy_spec, cli):
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(yaml.safe_dump(toy_spec))
    _, out, _ = cli("plan", "study.yaml", "--json")
    from alspec import api

    plan = api.plan(api.load_study("study.yaml"))
    folder = StudyFolder(Path("work_dirs"), "tiny")
    keys = list(plan.steps)
    folder.log_event({"event": "failed", "key": keys[1], "message": "NaN", "log": "/l/w 0.txt"})
    with closing(Leases(folder.store.folders.leases)) as leases:
        leases.take(keys[0])
        _, out, err = cli("status", "study.yaml")
        _, data, _ = cli("status", "study.yaml", "--json")
    assert "less '/l/w 0.txt'" in out
    assert f"{plan.steps[keys[1]].label} failed: NaN" in err
    (study,) = json.loads(data)
    assert study["at_work"][0]["step"] == plan.steps[keys[0]].label
    assert study["failed"] == [
        {"step": plan.steps[keys[1]].label, "message": "NaN", "log": "/l/w 0.txt"}
    ]


def test_more_devices_are_faster_up_to_the_critical_path(tmp_path):
    plan = tiny_plan()
    run_study(tmp_path, plan)  # whose trainings say that they took 2 s
    store = StudyFolder(tmp_path, "tiny").store
    found = scaling(plan, store, plan.steps, "cpu", [1, 2, 64])
    assert found is not None
    one, two, many = found.seconds.values()
    assert one > two >= many >= found.chain_seconds
    assert found.chain[-1].endswith("evaluate")
    assert "Critical path" in found.chain_in_words()
    assert [row[0] for row in found.rows()] == ["1", "2", "64"]
    assert scaling(plan, store, plan.steps, "cuda:0", [1]) is None


@pytest.mark.parametrize("text", ["", "0", "1,x", "-1", "1.5"])
def test_numbers_of_devices_are_whole(text):
    with pytest.raises(Exception, match="1,8,64"):
        parse_counts(text)


def test_they_are_sorted_and_told_once():
    assert parse_counts("64, 1,8,8") == [1, 8, 64]


@pytest.mark.parametrize("cut", [b'{"event":"star', bytes(30), b""])
def test_an_event_after_a_power_cut_has_a_line_of_its_own(folder, cut):
    """What was not synced comes back as zeros; the next event was glued to them and lost."""
    folder.log_event({"event": "started", "key": "a"})
    with folder.events.open("ab") as file:
        file.write(cut)
    folder.log_event({"event": "failed", "key": "b"})
    events, _ = folder.events_from(0)
    assert [event["event"] for event in events] == ["started", "failed"]
    assert folder.events.read_bytes().endswith(b"\n")
    assert b"\n\n" not in folder.events.read_bytes()
