from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from fakes.trainer import FakeTrainer, run_study
from PIL import Image

import alspec
from alspec.errors import DataError, ExitCode
from alspec.plan.expand import expand
from alspec.run.executors.base import Ended, Outcome
from alspec.spec.model import Study
from alspec.store.store import Store

SPECS = Path(__file__).parents[2] / "specs"
QUICKSTART = str(SPECS / "quickstart.yaml")

COLD = [
    ["--help"],
    ["run", "--help"],
    ["check", "study.yaml"],
    ["plan", "study.yaml"],
    ["plan", "study.yaml", "--json"],
    ["plan", "study.yaml", "--graph"],
    ["recommend", "--redundancy", "high"],
    ["recommend", "study.yaml"],
    ["status"],
    ["status", "study.yaml", "--json"],
    ["report", "study.yaml"],
    ["plugins", "list"],
    ["datasets", "list", "--json"],
]


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch, toy_spec):
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(yaml.safe_dump(toy_spec))


def test_cold_commands_never_load_torch():
    code = (
        "import json, sys\n"
        "from alspec.cli.main import main\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    sys.argv = ['alspec', *command]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as err:\n"
        "        assert not err.code, command\n"
        "    heavy = {'torch', 'mmengine', 'mmseg', 'mmcv'} & set(sys.modules)\n"
        "    assert not heavy, (command, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(COLD)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_loads_neither_pandas_nor_matplotlib():
    code = (
        "import sys\nfrom alspec.cli.main import main\nsys.argv = ['alspec', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "slow = {'pandas', 'matplotlib', 'numpy', 'pydantic', 'yaml'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COLD)
def test_without_a_terminal_there_is_no_colour(cli, command):
    code, out, err = cli(*command)
    assert code == 0
    assert not re.search("[\x1b\r]", out + err)


@pytest.mark.parametrize(
    "command", ["check", "plan", "run", "status", "report", "recommend", "doctor", "work"]
)
def test_a_command_of_the_contract_explains_itself(cli, command):
    code, out, err = cli(command, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: alspec {command}" in out


def test_plan_in_json_has_the_contracts_keys(cli):
    code, out, err = cli("plan", "study.yaml", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert list(told) == [
        "study", "runs", "trainings", "trainings_unshared", "steps", "done", "settings",
        "seconds", "disk_bytes",
    ]  # fmt: skip
    assert told["settings"] == [
        {
            "dataset": "toy", "pool": "all", "budget": "20-20", "pool_images": 20,
            "labelled_images": [4, 8],
        }
    ]  # fmt: skip
    assert (told["runs"], told["trainings"], told["trainings_unshared"]) == (5, 7, 9)
    assert told["seconds"] is None or told["seconds"] >= 0
    assert told["disk_bytes"] > 0
    assert told["done"] == 0


def test_plan_counts_what_is_done_and_writes_nothing(cli, toy_study, tmp_path):
    store = Store(tmp_path / "elsewhere/.store")
    with store.draft(next(iter(expand(toy_study()).steps)), {}):
        pass
    _, out, _ = cli("plan", "study.yaml", "--json", "--work-dir", "elsewhere")
    assert json.loads(out)["done"] == 1
    cli("plan", "study.yaml")
    cli("check", "study.yaml")
    assert not (tmp_path / "work_dirs").exists()


def test_a_plan_says_that_it_knows_no_time(cli):
    _, out, _ = cli("plan", "study.yaml", "--devices", "cpu")
    assert "alspec plan --calibrate" in out
    _, out, _ = cli("plan", "study.yaml", "--json", "--devices", "cpu")
    assert json.loads(out)["seconds"] is None


def test_a_plan_tells_the_time_from_finished_steps(cli, toy_spec):
    plan = expand(Study.model_validate(toy_spec))
    run_study(Path("work_dirs"), plan)
    _, out, _ = cli("plan", "study.yaml", "--devices", "cpu")
    assert "Nothing is left to run." in out
    more = ["--set", "methods=[random, entropy, coreset]", "--devices", "cpu:1"]
    code, out, _ = cli("plan", "study.yaml", *more)
    assert code == 0
    assert re.search(r"About .* on 1 cpu worker, from [0-9]+ finished steps\.", out)
    seconds = [
        json.loads(cli("plan", "study.yaml", "--json", *more[:-1], devices)[1])["seconds"]
        for devices in ("cpu:1", "cpu:2", "cpu:64")
    ]
    assert seconds[0] > seconds[1] > 5
    assert seconds[1] >= seconds[2]


def test_a_calibration_is_remembered_and_leaves_nothing_else(cli, monkeypatch, tmp_path):
    performed = []

    class Trainer(FakeTrainer):
        def submit(self, key, devices=1):
            performed.append(key)
            super().submit(key)

    monkeypatch.setattr("alspec.run.calibrate.LocalExecutor", Trainer)
    before = set(tmp_path.rglob("*"))
    code, out, _ = cli("plan", "study.yaml", "--json", "--calibrate", "--devices", "cpu:1")
    assert code == 0
    assert json.loads(out)["seconds"] > 0
    assert 0 < len(performed) < 20
    made = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert made
    assert {path.parent.name for path in made} == {"throughput"}
    _, out, _ = cli("plan", "study.yaml", "--devices", "cpu:1")
    assert re.search(r"from a calibration of [0-9]{4}-[0-9]{2}-[0-9]{2}\.", out)


def test_a_calibration_that_fails_is_an_error(cli, monkeypatch):
    class Failing(FakeTrainer):
        def wait(self, timeout_seconds):
            return Ended(self.queue.popleft(), Outcome.FAILED, "no memory")

    monkeypatch.setattr("alspec.run.calibrate.LocalExecutor", Failing)
    code, _, err = cli("plan", "study.yaml", "--calibrate", "--devices", "cpu:1")
    assert code == ExitCode.STEP_FAILED
    assert "the calibration failed: no memory" in err


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_finds_bad_data_leaves_nothing(cli, monkeypatch, tmp_path, there):
    class Logging(FakeTrainer):
        def __init__(self, place):
            super().__init__(place)
            place.logs.mkdir(parents=True)
            (place.logs / "worker-0.txt").touch()

    def bad(*_):
        raise DataError.at("a.png", "is broken")

    if there:
        folder = tmp_path / "work_dirs/other"
        folder.mkdir(parents=True)
    monkeypatch.setattr("alspec.run.executors.local.LocalExecutor", Logging)
    monkeypatch.setattr("alspec.run.preflight.data.check_data", bad)
    before = sorted(tmp_path.rglob("*"))
    code, _, err = cli("run", "study.yaml")
    assert code == ExitCode.BAD_INPUT
    assert "a.png" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_set_changes_the_plan(cli):
    _, out, _ = cli("plan", "study.yaml", "--json", "--set", "seeds=[0, 1]", "--set", "ssl=[true]")
    assert json.loads(out)["runs"] == 2 * 2 + 2


def test_check_says_what_it_found(cli):
    code, out, _ = cli("check", "study.yaml")
    assert code == 0
    assert out.splitlines() == [
        "toy: pool of 20 (all), 20-20 labels 4, 8",
        "study.yaml: good; 25 images read",
    ]


def test_recommend_names_coreset_for_redundant_pools(cli):
    for budget in ("low", "high"):
        _, out, _ = cli("recommend", "--redundancy", "high", "--budget", budget)
        cells = [line for line in out.splitlines() if line.startswith("redundancy")]
        assert len(cells) == 2
        assert all(line.count("Batch (Coreset)") == 1 for line in cells)
        assert all(line.lower().count("coreset") == 1 for line in cells)
        assert ("with SSL" in cells[1]) == (budget == "high")


def test_recommend_in_json_is_the_contracts(cli):
    code, out, err = cli("recommend", "--redundancy", "high", "--budget", "low", "--json")
    assert (code, err) == (0, "")
    (no_ssl, with_ssl) = json.loads(out)["advice"]
    assert (no_ssl["ssl"], with_ssl["ssl"]) == (False, True)
    for entry in (no_ssl, with_ssl):
        assert {
            "redundancy", "budget", "ssl", "family", "use_ssl", "label", "methods", "evidence",
            "caveats",
        } <= set(entry)  # fmt: skip
        assert (entry["family"], entry["methods"]) == ("batch", ["coreset"])
        for row in entry["evidence"]:
            assert {
                "table", "dataset", "budget", "method", "miou", "auc", "random_miou",
                "best_method", "best_miou", "regret",
            } <= set(row)  # fmt: skip


def test_recommend_measures_a_spec(cli):
    code, out, _ = cli("recommend", "study.yaml", "--no-ssl", "--json")
    assert code == 0
    answer = json.loads(out)
    (pool,) = answer["measured"]
    assert list(pool) == [
        "dataset", "pool", "images", "distinct_views", "views_per_image", "neighbours", "anywhere",
        "across_sequences", "level",
    ]  # fmt: skip
    assert (pool["dataset"], pool["pool"], pool["images"]) == ("toy", "all", 20)
    assert pool["views_per_image"] == pool["distinct_views"] / 20
    assert {entry["ssl"] for entry in answer["advice"]} == {False}
    assert pool["level"] in ("unsure", *(entry["redundancy"] for entry in answer["advice"]))
    for level in ("low", "high"):
        said = cli("recommend", "study.yaml", "--no-ssl", "--json", "--redundancy", level)[1]
        assert json.loads(said)["advice"]
        assert "measured" not in json.loads(said)


def test_recommend_measures_a_folder_of_images(cli, tmp_path):
    rng = np.random.default_rng(0)
    for place in range(30):
        folder = tmp_path / "frames" / f"drive{place % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (24, 32, 3), np.uint8)
        for copy in range(2):
            Image.fromarray(pixels).save(folder / f"{2 * place + copy}.png")
    asked = ("recommend", "--images", tmp_path / "frames")
    code, out, _ = cli(*asked, "--json")
    answer = json.loads(out)
    (pool,) = answer["measured"]
    assert (code, pool["dataset"], pool["images"]) == (0, "frames", 60)
    assert (pool["distinct_views"], pool["level"], pool["across_sequences"]) == (30, "unsure", 0)
    assert (pool["neighbours"], pool["anywhere"]) == (1, 1)
    assert {entry["redundancy"] for entry in answer["advice"]} == {"low", "high"}
    asked_in_python = alspec.recommend(images=asked[-1], ssl=False)
    assert {entry.redundancy for entry in asked_in_python} == {"low", "high"}
    assert "30 distinct views in 60 images" in " ".join(cli(*asked)[1].split())
    assert cli("recommend", "study.yaml", "--images", tmp_path)[0] == 2
    assert cli("recommend", "--images", tmp_path / "none")[0] == 2


def test_status_without_and_with_a_study(cli):
    assert cli("status") == (0, "no study in work_dirs\n", "")
    assert cli("status", "--json")[1].strip() == "[]"
    (told,) = json.loads(cli("status", "study.yaml", "--json")[1])
    assert (told["study"], told["done"], len(told["runs"])) == ("tiny", 0, 5)
    assert {"run", "cycles", "done"} == set(told["runs"][0])


def test_status_passes_over_a_study_whose_spec_is_broken(cli, toy_spec):
    for name, text in (("good", yaml.safe_dump(toy_spec)), ("broken", "study: [")):
        Path("work_dirs", name).mkdir(parents=True)
        Path("work_dirs", name, "spec.yaml").write_text(text)
    code, out, err = cli("status", "--json")
    assert code == 0
    assert [study["study"] for study in json.loads(out)] == ["tiny"]
    assert "broken" in err


def test_a_report_of_nothing_finished(cli):
    code, out, _ = cli("report", "study.yaml")
    assert code == 0
    assert out == "work_dirs/tiny/report.md\n"
    assert Path("work_dirs/tiny/report.md").is_file()


def test_a_copied_report_links_to_the_figures(cli):
    Path("out of the way").mkdir()
    copy = Path("out of the way/mine.md")
    code, out, _ = cli("report", "study.yaml", "--work-dir", "work dirs", "-o", copy)
    assert (code, out) == (0, f"{copy}\n")
    links = re.findall(r"]\((.*\.svg)\)", copy.read_text())
    assert links
    for link in links:
        assert (copy.parent / unquote(link)).is_file()
    code, _, err = cli("report", "study.yaml", "-o", "no/such/folder/x.md")
    assert code == 2
    assert "no/such/folder" in err


def test_a_report_in_another_form(cli):
    code, out, _ = cli("report", "study.yaml", "--format", "html")
    assert (code, out) == (0, "work_dirs/tiny/report.html\n")
    assert Path("work_dirs/tiny/report.html").read_text().startswith("<!DOCTYPE html>")
    code, out, _ = cli("report", "study.yaml", "--format", "text")
    assert code == 0
    assert out.startswith("tiny\n====\n")
    assert cli("report", "study.yaml", "--format", "text", "-o", "r.txt")[1] == "r.txt\n"
    assert Path("r.txt").read_text() == out
    cli("report", "study.yaml", "--format", "html", "-o", "r.html")
    assert Path("r.html").read_bytes() == Path("work_dirs/tiny/report.html").read_bytes()


def test_plugins_and_datasets(cli):
    names = {row["name"] for row in json.loads(cli("plugins", "list", "--json")[1])}
    assert {"random", "uniform", "entropy", "equal", "bald", "coreset", "toy", "folder"} <= names
    kinds = {row["kind"] for row in json.loads(cli("datasets", "list", "--json")[1])}
    assert kinds == {"dataset kind"}
    assert "entropy" in cli("plugins", "list")[1]


def test_a_plugin_without_a_docstring_is_listed(cli, monkeypatch):
    monkeypatch.setattr("alspec.plugins.load", lambda group, name: type("Bare", (), {}))
    assert all(row["about"] == "" for row in json.loads(cli("plugins", "list", "--json")[1]))


def test_a_store_that_cannot_be_written_is_told(cli):
    Path("file").write_text("")
    code, out, err = cli("run", "study.yaml", "--work-dir", "file/below")
    assert (code, out) == (5, "")
    assert "cannot be written" in err


def test_work_does_one_step(alspec, toy_study, tmp_path):
    store = Store(tmp_path / "work_dirs/.store")
    step = next(iter(expand(toy_study()).in_order()))
    store.write_recipe(step.to_json())
    for words in ("done", "done before"):
        done = alspec("work", step.key)
        assert (done.returncode, done.stdout) == (0, f"toy pool: {words}\n"), done.stderr
    assert store.is_done(step.key)
    store.recipe_path(step.key).write_text(
        store.recipe_path(step.key).read_text().replace('"all"', '"every"')
    )
    done = alspec("work", step.key)
    assert done.returncode == 5
    assert "describes another step" in done.stderr


def test_version(cli):
    assert re.fullmatch(r"alspec \d+\.\d+.*\n", cli("--version")[1])
