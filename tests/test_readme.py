"""What README.md leases is so: its code runs, its commands exist, its defaults are the schema's."""

import re
from pathlib import Path

import pytest
import typer
import yaml
from pydantic import BaseModel

from alspec.acquisition.conformance import broken_duties
from alspec.cli.main import app
from alspec.spec.load import load_study
from alspec.spec.model import DatasetSpec, Study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
NEEDED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def section(title):
    """The text below a heading, up to the next of its level or above."""
    (found,) = re.findall(rf"^(#+) {re.escape(title)}\n", README, re.MULTILINE)
    _, below = README.split(f"\n{found} {title}\n", 1)
    return re.split(rf"^#{{1,{len(found)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def load_in_place(path, folder, monkeypatch):
    """Loads a spec whose variables all name an empty folder."""
    for name in NEEDED.findall(path.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, str(folder))
    return load_study(path)


def test_the_acquisition_function_keeps_its_duties():
    text = section("An acquisition function of your own")
    (code,), (declared,) = blocks(text, "python"), blocks(text, "toml")
    ((name, attribute),) = re.findall(r'^(\w+) = "\w+:(\w+)"$', declared, re.MULTILINE)
    namespace = {}
    exec(compile(code, "README.md", "exec"), namespace)
    function = namespace[attribute]
    assert function.name == name
    assert broken_duties(function) == []


COMMANDS = [line for line in blocks(section("Commands"), "")[0].splitlines() if line]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_exist_with_their_options(line):
    usage, _, about = line.partition("  ")
    program, *words = usage.split()
    assert program == "alspec"
    command = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
    assert not hasattr(command, "commands")
    options = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", about)) <= options


def spec_table():
    """Key, what and default of each row, as written."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|(.*)\|$", section("The spec"), re.MULTILINE)
    return {key: (what, default.strip()) for key, what, default in rows}


def as_value(written):
    if written == "none":
        return None
    try:
        return float(written)
    except ValueError:
        return yaml.safe_load(written)


def test_the_spec_table_has_every_key():
    assert {"study", *spec_table()} == set(Study.model_fields)


@pytest.mark.parametrize("key", [k for k in Study.model_fields if k != "study"])
def test_the_spec_tables_defaults_are_the_schemas(key):
    what, written = spec_table()[key]
    if key == "datasets":
        assert DatasetSpec.model_fields["redundancy"].get_default(
            call_default_factory=True
        ).kind == (written.strip("`"))
        return
    field = Study.model_fields[key]
    assert field.is_required() == (written == "")
    if field.is_required():
        return
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        names = " ".join(re.findall(r"`([^`]*)`", what)).split()
        parts = [part.split(", ") for part in written.split("; ")]
        listed = parts if len(parts) > 1 else [[part] for part in parts[0]]
        values = [tuple(map(as_value, part)) for part in listed]
        plain = [
            value if isinstance(value, tuple) else (value,)
            for value in map(default.model_dump().get, names)
        ]
        assert names == list(type(default).model_fields)
        assert values == plain
    else:
        plain = list(default) if isinstance(default, tuple) else default
        assert as_value(written.strip("`")) == plain


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_spec_loads(path, tmp_path, monkeypatch):
    assert load_in_place(path, tmp_path, monkeypatch).study


def test_the_specs_are_there():
    assert "quickstart.yaml" in {path.name for path in SPECS}


def test_the_readmes_own_study_loads(tmp_path, monkeypatch):
    path = tmp_path / "study.yaml"
    (text,) = blocks(README, "yaml")
    path.write_text(text, encoding="utf-8")
    assert load_in_place(path, tmp_path, monkeypatch).study == "my-drive"
