"""The GPU acceptance, rehearsed at toy sizes on the CPU, and what it does when a part breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import acceptance
import part_quickstart
import part_study
import pytest
from part_notes import Notes, run_until

HERE = Path(__file__).resolve().parent


def rehearsed(out: Path, parts: str, minutes: float = 8.0) -> dict[str, Any]:
    """The JSON of a rehearsal."""
    command = [sys.executable, str(HERE / "acceptance.py"), "--rehearse", "--parts", parts]
    command += ["--json", str(out), "--minutes", str(minutes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {*errors_in(found)}, found
    return found


def errors_in(found: Any) -> list[Any]:
    """Whatever stands under `error`, anywhere."""
    if not isinstance(found, dict):
        return []
    below = [error for value in found.values() for error in errors_in(value)]
    return [*below, str(found["error"])] if "error" in found else below


def test_the_measurements_are_made_and_compared(tmp_path: Path) -> None:
    found = rehearsed(tmp_path / "out.json", "2,3")
    rows = found["compared"]
    assert {"train", "train-s4gan", "entropy", "equal", "bald", "features"} <= rows.keys()
    assert all(row["ratio"] > 0 and row["share_of_peak"] > 0 for row in rows.values())
    coreset = found["parts"]["selection"]["coreset-clustered"]
    assert coreset["same_as_cpu"]
    assert coreset["same_as_float64"]
    assert {"torch", "card", "processor", "python"} <= found["machine"].keys()


def test_the_runs_are_made_and_packed(tmp_path: Path) -> None:
    found = rehearsed(tmp_path / "out.json", "4,5")
    assert found["parts"]["quickstart"]["run"]["code"] == 0
    assert found["parts"]["quickstart"]["miou"]["cells"] > 0
    assert found["parts"]["study"]["rehearsed"]["rows_rehearsed"] == 2
    assert (tmp_path / "study.tar.gz.0").stat().st_size > 1000


@pytest.mark.slow
def test_the_tests_of_a_gpu_pass_on_a_cpu(tmp_path: Path) -> None:
    found = rehearsed(tmp_path / "out.json", "1")["parts"]["tests"]["outcomes"]
    assert found["code"] == 0
    assert len(found["passed"]) > 20


def test_without_time_parts_are_skipped_with_a_word(tmp_path: Path) -> None:
    found = rehearsed(tmp_path / "out.json", "1,2,3,4,5", minutes=0.1)
    assert all("s are the least" in part["skipped"] for part in found["parts"].values())


def test_a_figure_that_breaks_leaves_its_reason_and_the_others(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes.json", 100)
    with notes.attempt("broken"):
        notes.say("broken", before=1)
        raise RuntimeError("as expected")
    with notes.attempt("late", needs=1000) as timely:
        assert not timely
    with notes.attempt("good"):
        notes.say("good", value=2.0)
    found = json.loads((tmp_path / "notes.json").read_text("utf-8"))
    assert found["broken"]["before"] == 1
    assert found["broken"]["error"][-1] == "RuntimeError: as expected"
    assert found["late"]["skipped"].startswith("1000 s wanted")
    assert found["good"]["value"] == 2.0


def test_a_command_is_ended_at_its_limit() -> None:
    sleeper = "import time; time.sleep(60)"
    assert run_until([sys.executable, "-c", sleeper], 0.5) == -15
    assert run_until([sys.executable, "-c", "raise SystemExit(3)"], 20) == 3


def test_numbers_are_set_beside_the_seeds_of_the_cpu() -> None:
    reference = {"spec_sha256": "", "miou": {"a": [10.0, 12.0], "b": [20.0, 22.0]}}
    found = part_quickstart.beside({"a": [11.0], "b": [41.0], "c": [1.0]}, reference)
    assert found["cpu_seed_deviation"] == pytest.approx(2**0.5)
    assert found["beyond_3_deviations"] == ["b"]
    assert found["largest_difference"] == pytest.approx(20.0)
    assert found["cells_without_reference"] == 1


def test_large_files_of_a_store_stay_where_they_are(tmp_path: Path) -> None:
    names = [
        ".store/ab/manifest.json", ".store/ab/weights.safetensors", ".store/images/x/y.bin",
        ".store/checkpoints/ab/1.safetensors", "camvid/results.csv",
    ]  # fmt: skip
    left = [name for name in names if not part_study._is_left_out(Path(name))]
    assert left == [".store/ab/manifest.json", "camvid/results.csv"]


def test_rows_are_compared_with_the_plain_way_and_the_peak() -> None:
    found = acceptance.compared(
        {
            "speed": {
                "peak": {"tflops": 100.0},
                "train": {"images_per_second": 50.0, "gflops_per_image": 1000.0},
                "train-benchmark": {"images_per_second": 60.0, "beside": "train"},
            },
            "plain": {"train": {"images_per_second": 25.0}},
        }
    )
    assert found["train"]["ratio"] == 2
    assert found["train"]["share_of_peak"] == 0.5
    assert found["train-benchmark"]["ratio"] == 2.4
