"""The documentation is that of this code: reference, specs, links, names."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from alspec.cli.main import app
from alspec.errors import ExitCode
from alspec.results.table import COLUMNS
from alspec.spec.load import load_study
from alspec.spec.model import Study, Training
from alspec.spec.project import Project
from alspec.store.folders import StoreFolders

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def made(name):
    """A page of the reference, as MkDocs gets it."""
    place = DOCS / "reference_pages.py"
    spec = importlib.util.spec_from_file_location("reference_pages", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PAGES[name]()


def text_below(page, heading):
    """The lines below a heading, up to the next."""
    _, below = page.split(f"\n## {heading}\n", 1)
    return below.split("\n## ", 1)[0]


@pytest.mark.parametrize("model", [Study, Project, Training], ids=lambda model: model.__name__)
def test_the_spec_page_has_every_field(model):
    rows = re.findall(r"^\| `(\w+)` \|", text_below(made("spec"), model.__name__), re.MULTILINE)
    assert set(rows) - {"extends"} == set(model.model_fields)


def test_the_spec_page_describes_every_field():
    assert not [line for line in made("spec").splitlines() if line.endswith("|  |")]


def test_the_spec_page_has_the_defaults():
    rows = text_below(made("spec"), "Training")
    assert re.search(r"\| `epochs` \| integer ≥ 1 \| `100` \|", rows)
    assert "| required |" in text_below(made("spec"), "Study")


def test_links_within_the_spec_page_lead_somewhere():
    page = made("spec")
    anchors = {re.sub(r"[^\w-]", "", name.lower()) for name in re.findall(r"^## (.+)$", page, re.M)}
    links = set(re.findall(r"\(#([^)]+)\)", page))
    assert links
    assert links <= anchors


def leaves(command, path="alspec"):
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(leaves(typer.main.get_command(app))))
def test_the_commands_page_has_every_option(path, command):
    below = text_below(made("commands"), path)
    for param in command.params:
        if param.param_type_name == "option" and param.name != "help":
            names = ", ".join((*param.opts, *param.secondary_opts))
            assert f"| `{names}` |" in below


def test_the_commands_page_has_every_exit_code_and_variable():
    page = made("commands")
    codes = re.findall(r"^\| (\d+) \|", text_below(page, "Exit codes"), re.MULTILINE)
    assert [int(code) for code in codes] == [int(code) for code in ExitCode]
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "alspec").rglob("*.py"))
    variables = set(re.findall(r"\"(ALSPEC_[A-Z_]+)\"", sources)) - {"ALSPEC_FAULT"}  # of tests
    assert set(re.findall(r"`(ALSPEC_\w+)`", page)) == variables


def test_the_files_page_has_every_folder_of_the_store():
    page = made("files")
    folders = StoreFolders(Path("store"))
    for name, member in vars(StoreFolders).items():
        if isinstance(member, property) and isinstance(getattr(folders, name), Path):
            assert f"| `{getattr(folders, name).name}` |" in page
    for name, columns in COLUMNS.items():
        assert f"`{name}.csv`: {', '.join(columns)}" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page):
    generated = {DOCS / "reference" / f"{name}.md" for name in ("spec", "commands", "files")}
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            there = Path(os.path.normpath(page.parent / link))
            assert there.exists() or there in generated, link


def studies():
    for page in PAGES:
        for text in re.findall(r"^```yaml\n(study:.*?)^```$", page.read_text("utf-8"), re.M | re.S):
            yield pytest.param(text, id=page.name)


@pytest.mark.parametrize("text", list(studies()))
def test_specs_load(text, tmp_path, monkeypatch):
    for name in re.findall(r"\$\{([A-Za-z_]\w*)\}", text):
        monkeypatch.setenv(name, str(tmp_path))
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_study(path).study


PATHS = re.findall(
    r"`(alspec/[\w/.]+)`", (DOCS / "explanation/where-to-look.md").read_text("utf-8")
)


@pytest.mark.parametrize("path", PATHS)
def test_where_to_look_names_what_is_there(path):
    assert (ROOT / path).exists()


def test_the_tests_that_promises_name_are_there():
    page = (DOCS / "explanation" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+/test_\w+\.py)`", page)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / "tests" / path).is_file()] == []


def test_the_site_builds_without_a_warning(tmp_path):
    """As CI does it; only where `alspec[docs]` is installed."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings_handlers.python")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml"]
    built = subprocess.run(
        [*command, "-d", str(tmp_path / "site")],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "reference" / "spec" / "index.html").is_file()
