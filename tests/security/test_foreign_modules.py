"""No Python file of the current folder or of a `PYTHON*` variable runs in alspec's processes."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alspec.run import doctor
from alspec.system import interpreter
from alspec.system.interpreter import MORE_FOLDERS, python_command, python_environment

ROOT = Path(__file__).parents[2]
SHADOWED = ("cv2", "torch", "mmseg", "numpy", "runpy", "importlib", "alspec", "yaml", "json")


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A folder of modules that say when they are imported; the test stands in it."""
    marker = tmp_path / "ran.txt"
    folder = tmp_path / "trap"
    folder.mkdir()
    for name in (*SHADOWED, "sitecustomize", "usercustomize"):
        code = f"open({str(marker)!r}, 'a').write({name!r} + ' ')\nraise SystemExit(3)\n"
        (folder / f"{name}.py").write_text(code)
    monkeypatch.chdir(folder)
    return marker


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"PYTHONPATH": "."},
        {"PYTHONPATH": os.pathsep},
        {"PYTHONPATH": "{trap}"},
        {"PYTHONUSERBASE": "{trap}"},
        {"PYTHONHOME": "{trap}"},
        {"PYTHONSTARTUP": "{trap}/cv2.py"},
        {"PYTHONPLATLIBDIR": "{trap}"},
    ],
    ids=str,
)
def test_a_process_of_alspec_imports_only_what_is_installed(trap, monkeypatch, variables):
    """Started as `-m` or `-c`, a `cv2.py` beside somebody's spec ran in workers and checks."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(trap=Path.cwd()))
    ended = subprocess.run(
        python_command("alspec.steps.try_models"),
        input="[]",
        env=python_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not trap.exists(), trap.read_text()
    assert (ended.returncode, ended.stdout) == (0, "[]"), ended.stderr


def test_the_doctor_runs_nothing_of_the_current_folder(trap, tmp_path):
    found = {finding.name: finding for finding in doctor.examine(tmp_path)}
    assert not trap.exists(), trap.read_text()
    assert found["a segmentor's forward pass"].works


def test_the_package_is_the_callers_wherever_it_lies(trap, monkeypatch):
    """Also that of a clone that is not installed, without its folder on the path."""
    show = ROOT / "tests" / "fakes" / "show_path.py"
    package = Path(interpreter.__file__).parents[1]
    command = python_command("alspec.system.interpreter")
    command[-1] = command[-1].replace("import runpy; ", f"exec(open({str(show)!r}).read()); ")
    command[-1] = command[-1].rpartition("runpy.run_module")[0]
    said = subprocess.run(command, env=python_environment(), capture_output=True, check=True)
    path, home = json.loads(said.stdout)
    assert home == str(package / "__init__.py")
    assert not {"", ".", str(Path.cwd())} & set(path)


def test_a_variable_of_alspecs_own_adds_absolute_folders_at_the_end(trap, tmp_path, monkeypatch):
    more = tmp_path / "more"
    more.mkdir()
    (more / "cv2.py").write_text("raise SystemExit('after what is installed')")
    monkeypatch.setenv(MORE_FOLDERS, os.pathsep.join([".", str(more)]))
    code = python_command("alspec.run.trial")[-1]
    assert f" + {[str(more)]!r}" in code
    assert python_environment()[MORE_FOLDERS]


def test_folders_of_pythonpath_with_plugins_come_at_the_end_and_no_others(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("plugins", "other", "plain")]
    for folder, group in zip(folders, ("alspec.acquisition", "console_scripts"), strict=False):
        (folder / "a-1.dist-info").mkdir(parents=True)
        (folder / "a-1.dist-info" / "entry_points.txt").write_text(f"[{group}]\na = a:A\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["plugins", *map(str, folders)]))
    code = python_command("alspec.run.trial")[-1]
    assert f" + {[str(folders[0])]!r}" in code


def test_python_minus_m_forgets_the_current_folder_before_a_command_runs(trap):
    """What `python -m` itself has imported by then is the caller's affair."""
    for early in ("runpy", "importlib", "json", "alspec"):
        Path(f"{early}.py").unlink()
    ended = subprocess.run(
        [sys.executable, "-m", "alspec", "--version"], capture_output=True, text=True, check=False
    )
    assert not trap.exists(), trap.read_text()
    assert ended.stdout.startswith("alspec ")


def test_no_other_place_starts_an_interpreter():
    """`sys.executable` is named once, so there is no second door."""
    named = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "alspec").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "executable"
    ]
    assert set(named) == {"alspec/system/interpreter.py"}
