"""What README.md says is so: short, its code runs, its picture is that of the code."""

import ast
import re
from pathlib import Path

import pytest
import typer

import alspec
from alspec.cli.main import app
from alspec.spec.load import load_study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPECS = sorted((ROOT / "specs").rglob("*.yaml"))
NEEDED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def load_in_place(path, folder, monkeypatch):
    """Loads a spec whose variables, its bases' among them, all name an empty folder."""
    for name in NEEDED.findall("".join(p.read_text(encoding="utf-8") for p in (path, *SPECS))):
        monkeypatch.setenv(name, str(folder))
    return load_study(path)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_spec_loads(path, tmp_path, monkeypatch):
    assert load_in_place(path, tmp_path, monkeypatch).study


def test_the_specs_are_there():
    assert "quickstart.yaml" in {path.name for path in SPECS}


def test_its_study_loads(tmp_path, monkeypatch):
    path = tmp_path / "study.yaml"
    (text,) = blocks(README, "yaml")
    path.write_text(text, encoding="utf-8")
    assert load_in_place(path, tmp_path, monkeypatch).study == "my-drive"


def test_its_python_runs(tmp_path, monkeypatch):
    """All lines on a work directory of the test's, with a run that has nothing to execute."""
    (text,) = blocks(README, "python")
    assert len([line for line in text.splitlines() if line]) == 6
    called = []
    monkeypatch.setattr("alspec.api.run", lambda *given, **named: called.append("run"))
    monkeypatch.setattr("alspec.api.results", lambda *given, **named: called.append("results"))
    monkeypatch.chdir(ROOT)
    names = {}
    exec(compile(text, "README.md", "exec"), names)
    assert called == ["run", "results"]
    assert names["study"].training.epochs == 2
    assert list(names["plan"].table().columns)
    assert {entry.budget for entry in names["advice"]} == {"low"}


def test_what_its_python_promises_is_there():
    from alspec.report.study_results import StudyResults

    (text,) = blocks(README, "python")
    for name in re.findall(r"done\.(\w+)", text):
        assert hasattr(StudyResults, name) or name in StudyResults.__dataclass_fields__
    for call in ast.walk(ast.parse(text)):
        if isinstance(call, ast.Attribute) and ast.unparse(call.value) == "alspec":
            assert call.attr in alspec.__all__


def test_its_picture_is_the_layers_that_are_checked():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (written,) = re.findall(r"^layers = (\[.*?^\])", project, re.MULTILINE | re.DOTALL)
    layers = ast.literal_eval(written)
    (picture,) = (block for block in blocks(README, "") if " cli " in block)
    drawn = [re.split(r" {2,}", line.strip())[0] for line in picture.splitlines()]
    assert drawn == [layer for layer in layers if layer != "__main__"]


LINKS = sorted(set(re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', README)))


@pytest.mark.parametrize("link", [a or b for a, b in LINKS])
def test_links_lead_somewhere(link):
    assert link.startswith("https://") or (ROOT / link.split("#")[0]).exists()


def commands():
    """The commands with their words and options, of all shell blocks and lines of text."""
    shell = "\n".join([*blocks(README, "sh"), *blocks(README, "console")])
    lines = re.findall(r"(?:^\$ |&& |^)(alspec [^\n&]+)", shell, re.MULTILINE)
    return lines + re.findall(r"`(alspec [^`]+)`", README)


@pytest.mark.parametrize("line", commands())
def test_commands_exist_with_their_options(line):
    command = typer.main.get_command(app)
    for word in line.split()[1:]:
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
    options = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    assert set(re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", line)) <= options


def test_there_are_commands():
    assert {line.split()[1] for line in commands()} >= {"run", "recommend", "init"}


def test_its_advice_is_what_the_command_says(capsys):
    (shown,) = (block for block in blocks(README, "console") if "recommend" in block)
    command, *lines = shown.splitlines()
    with pytest.raises(SystemExit) as ended:
        app(command.split()[2:])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[: len(lines)] == lines


def test_its_last_line_of_a_run_is_in_the_words_of_today():
    (shown,) = (block for block in blocks(README, "console") if "steps executed" in block)
    source = (ROOT / "alspec" / "cli" / "study.py").read_text(encoding="utf-8")
    for words in (
        "steps executed",
        "were done before",
        "skipped (an earlier step failed). Report:",
    ):
        assert words in shown
        assert words in source
