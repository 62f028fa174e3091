"""Every command has an example in its help, and those that read can answer in JSON alone."""

from __future__ import annotations

import json

import pytest
import yaml
from factories.toy import TOY

from alspec.cli.completion import commands_of
from alspec.cli.main import app

COMMANDS = [command.path for command in commands_of(app) if not command.commands]
WRITES = {"init", "run", "report", "completion", "schema", "work", "select", "ingest", "predict"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example(path, cli):
    code, out, _ = cli(*path, "--help")
    assert code == 0
    assert f"Example: alspec {' '.join(path)}" in " ".join(out.split())


def test_every_command_that_reads_has_json():
    reading = [c for c in commands_of(app) if not c.commands and not WRITES & set(c.path)]
    lacking = [
        command.path
        for command in reading
        if command.path[-1] not in ("make", "new")
        and not any("--json" in option.names for option in command.options)
    ]
    assert lacking == []


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("check", "study.yaml"), "settings"),
        (("plan", "study.yaml"), "disk_bytes"),
        (("explain", "study.yaml"), "steps"),
        (("recommend", "study.yaml"), "measured"),
        (("doctor",), "healthy"),
    ],
    ids=str,
)
def test_json_is_alone_on_standard_output(tmp_path, monkeypatch, cli, command, key):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**TOY, "ssl": [False]}))
    code, out, _ = cli(*command, "--json")
    assert code == 0
    assert key in json.loads(out)


def test_datasets_as_json(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(TOY))
    code, out, _ = cli("datasets", "check", "study.yaml", "--json")
    assert code == 0
    (dataset,) = json.loads(out)
    assert dataset["splits"]["pool"]["images"] == 20
    assert sum(filter(None, dataset["splits"]["val"]["classes"].values())) == pytest.approx(1)


def test_a_bad_spec_leaves_standard_output_empty(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text("study: [\n")
    for command in ("check", "plan", "explain"):
        code, out, err = cli(command, "study.yaml", "--json")
        assert (code, out) == (2, "")
        assert "study.yaml:" in err
