"""What is published names no path, host or user of the machine, unless that is asked for."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest
from factories.folder_tree import folder_tree
from factories.toy import TOY
from fakes.trainer import run_study

from alspec import api
from alspec.errors import SpecError
from alspec.plan.expand import expand
from alspec.spec.load import dump_study, dump_without_paths, load_study
from alspec.spec.machine_paths import PATHS_FILE, with_paths, without_paths
from alspec.spec.model import Study
from alspec.store.study_folder import StudyFolder


@pytest.fixture
def plan(tmp_path):
    """A study that names a dataset, two lists, weights and a checkpoint by their paths."""
    files = {name: tmp_path / name for name in ("pool.txt", "weights.pth", "model.py", "last.pth")}
    for path in files.values():
        path.write_text("".join(f"images/a_00{n}.bmp\n" for n in range(8)))
    files["model.py"].write_text("model = dict()\n")
    spec = folder_tree(tmp_path / "data") | {
        "redundancy": {"kind": "list", "path": str(files["pool.txt"])}
    }
    told = {
        **TOY, "datasets": [spec], "methods": ["random"], "ssl": [False], "baselines": [],
        "budgets": [{"name": "b", "unit": "images", "initial": 2, "step": 2, "cycles": 2}],
        "pretrained": str(files["weights.pth"]),
        "model": {"config": str(files["model.py"]), "checkpoint": str(files["last.pth"])},
    }  # fmt: skip
    return expand(Study.model_validate(told), trust_config=True)


def told_of(folder: StudyFolder, tmp_path: Path) -> list[str]:
    """Of what a study publishes, the files that tell of this machine."""
    secrets = [str(tmp_path), str(Path.home()), socket.gethostname(), getpass.getuser()]
    files = [folder.spec, folder.report, folder.report_html, *folder.root.glob("*.csv")]
    return [
        f"{path.name}: {secret}"
        for path in files
        for secret in secrets
        if len(secret) > 5 and secret in path.read_text("utf-8")
    ]


def test_a_run_publishes_no_path_of_the_machine(plan, tmp_path, monkeypatch):
    """spec.yaml had each of them."""
    monkeypatch.setattr(
        "alspec.run.study_steps.PreparedStudy.check_disk_and_models", lambda *_: None
    )
    work_dir = tmp_path / "work"
    run_study(work_dir, plan, trust_config=True)
    folder = StudyFolder(work_dir, plan.study.study)
    assert told_of(folder, tmp_path) == []
    assert "root: ${DATASETS_0_ROOT}" in folder.spec.read_text("utf-8")
    assert load_study(folder.spec) == plan.study
    assert api.results(folder.root).results["miou"].notna().all()
    run_study(work_dir, plan, trust_config=True, full_paths=True)
    assert folder.spec.read_text("utf-8") == dump_study(plan.study)
    assert not folder.paths.exists()


def test_elsewhere_the_variables_are_asked_for(plan, tmp_path, monkeypatch):
    text, paths = dump_without_paths(plan.study)
    assert sorted(paths) == [
        "DATASETS_0_REDUNDANCY_PATH", "DATASETS_0_ROOT", "MODEL_CHECKPOINT", "MODEL_CONFIG",
        "PRETRAINED",
    ]  # fmt: skip
    spec = tmp_path / "copied.yaml"
    spec.write_text(text)
    with pytest.raises(SpecError, match="`DATASETS_0_ROOT` is not set"):
        load_study(spec)
    for name, path in paths.items():
        monkeypatch.setenv(name, path)
    assert load_study(spec) == plan.study


def test_only_what_is_there_is_a_path(tmp_path):
    data = {
        "sequence": "/(.*)_",
        "a": ["/none/here", str(tmp_path), "x/y", 3, None, "/" + "x" * 5000],
    }
    plain, paths = without_paths(data)
    assert paths == {"A_1": str(tmp_path)}
    assert plain == {**data, "a": [data["a"][0], "${A_1}", *data["a"][2:]]}


@pytest.mark.parametrize("said", ["", "[]", "{", '{"A": 1}', '{"A": "/none"}', "[" * 9999])
def test_a_file_of_paths_that_says_nothing_is_passed_over(tmp_path, said):
    (tmp_path / PATHS_FILE).write_text(said)
    assert with_paths({"a": 1}, tmp_path / "spec.yaml") == {"a": 1}
