"""An MMSegmentation config is code: planned by anybody, run only if shipped or trusted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from alspec.errors import InputError
from alspec.plan.config_file import config_sha256, is_shipped, require_trust, runnable_config
from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN

SHIPPED = "configs/pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def config(tmp_path, canary):
    """A config that leaves a trace when it is run."""
    (tmp_path / "base.py").write_text("model = dict()\n")
    path = tmp_path / "mine.py"
    path.write_text(f"_base_ = 'base.py'\n__import__('os').mkdir({str(canary)!r})\n")
    return path


def places_of(plan):
    return [step.local_paths["model"] for step in plan.in_order() if step.kind is TRAIN]


def test_shipped_configs_need_no_trust(toy_study):
    study = toy_study(model={"config": SHIPPED})
    require_trust(study, trusted=False)
    (place,) = {tuple(sorted(place.items())) for place in places_of(expand(study))}
    assert [name for name, _ in place] == ["config"]
    sha256, path = config_sha256(Path(SHIPPED))
    assert runnable_config({"config_sha256": sha256}, dict(place)) == Path(path)


def test_a_config_that_builds_on_a_shipped_one_is_not_shipped(tmp_path):
    _, shipped = config_sha256(Path(SHIPPED))
    own = tmp_path / "own.py"
    own.write_text(f"_base_ = {shipped!r}\n")
    assert is_shipped(Path(shipped))
    assert not is_shipped(own)


def test_a_link_to_a_config_of_ones_own_is_not_shipped(config, tmp_path):
    link = tmp_path / "mmseg" / ".mim" / "configs" / "mine.py"
    link.parent.mkdir(parents=True)
    link.symlink_to(config)
    assert not is_shipped(link)


def test_planning_runs_nothing_and_binds_trust_to_the_bytes(toy_study, config, canary):
    study = toy_study(model={"config": str(config)})
    sha256, _ = config_sha256(config)
    untrusted, trusted = expand(study), expand(study, trust_config=True)
    assert list(untrusted.steps) == list(trusted.steps)
    assert all("trusted_config" not in place for place in places_of(untrusted))
    assert all(place["trusted_config"] == sha256 for place in places_of(trusted))
    assert not canary.exists()


def test_trust_is_asked_for(toy_study, config):
    study = toy_study(model={"config": str(config)})
    require_trust(study, trusted=True)
    with pytest.raises(InputError, match="--trust-config") as caught:
        require_trust(study, trusted=False)
    (problem,) = caught.value.problems
    assert problem.loc == ("model", "config")
    assert str(config) in problem.what


@pytest.mark.parametrize(
    ("trusted", "message"),
    [(None, "--trust-config"), ("", "--trust-config"), ("0" * 64, "--trust-config")],
)
def test_a_worker_runs_no_config_that_its_recipe_does_not_trust(config, trusted, message):
    sha256, _ = config_sha256(config)
    local_paths = {"config": str(config)}
    if trusted is not None:
        local_paths["trusted_config"] = trusted
    with pytest.raises(InputError, match=message) as caught:
        runnable_config({"config_sha256": sha256}, local_paths)
    assert str(config) in str(caught.value)
    local_paths["trusted_config"] = sha256
    assert runnable_config({"config_sha256": sha256}, local_paths) == config


@pytest.mark.parametrize("changed", ["mine.py", "base.py"])
def test_a_worker_runs_no_config_that_changed_since(config, changed):
    sha256, _ = config_sha256(config)
    file = config.with_name(changed)
    file.write_text(file.read_text() + "import sys\n")
    for trusted in (sha256, config_sha256(config)[0], hashlib.sha256(b"").hexdigest()):
        local_paths = {"config": str(config), "trusted_config": trusted}
        with pytest.raises(InputError, match="changed since it was planned"):
            runnable_config({"config_sha256": sha256}, local_paths)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("# a remark\nmodel = dict(a='b', c=(1, 2.0))\n", True),
        ('\n\nmodel = dict( a = "b",\n  c=(1,2.0,) )  # what\n', True),
        ('"""A docstring."""\nmodel = dict(a=u"b", c=(1, 2.0))\n', True),
        ("model = dict(a='b', c=(1, 2))\n", False),
        ("model = dict(a='b', c=[1, 2.0])\n", False),
        ("model = dict(c=(1, 2.0), a='b')\n", False),
        ("model = dict(a='b', c=(1, 2.0))\nx = None\n", False),
        ("model = dict(a='b', c=(1, 2.0))\nprint()\n", False),
    ],
)
def test_remarks_and_layout_are_no_part_of_a_config(tmp_path, text, same):
    path = tmp_path / "own.py"
    path.write_text("model = dict(a='b', c=(1, 2.0))\n")
    before = config_sha256(path)[0]
    path.write_text(text)
    assert (config_sha256(path)[0] == before) is same


def test_the_digest_is_the_same_in_every_python(tmp_path):
    """Taken once, in Python 3.11; another version must find the same."""
    path = tmp_path / "own.py"
    path.write_text("a = [1, -2.5, 'x', None, True]\nmodel = dict(**a, b=a[0])\ndel a\n")
    assert config_sha256(path)[0].startswith("2533f6ae0866c0da")


def test_a_base_of_a_package_by_name_is_refused_in_words(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("_base_ = ['mmseg::_base_/models/fcn_unet_s5-d16.py']\n")
    with pytest.raises(InputError, match=r"not supported\. Write the path of _base_/models/fcn"):
        config_sha256(path)


def test_a_model_by_name_has_no_config():
    assert runnable_config({"name": "deeplabv3plus_tiny"}, {}) is None


@pytest.mark.parametrize("name", ["evil.yaml", "evil.yml", "evil.json", "evil", "evil.pkl"])
def test_only_python_is_a_config(tmp_path, canary, name):
    path = tmp_path / name
    path.write_text(f"model: !!python/object/apply:os.mkdir [{canary}]\n")
    with pytest.raises(InputError, match=r"not a `\.py` file"):
        config_sha256(path)
    own = tmp_path / "own.py"
    own.write_text(f"_base_ = {name!r}\n")
    with pytest.raises(InputError, match=r"not a `\.py` file"):
        config_sha256(own)
    assert not canary.exists()


# ---- the commands


@pytest.fixture
def spec(toy_spec, tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    path = Path("study.yaml")
    path.write_text(yaml.safe_dump({**toy_spec, "model": {"config": config.name}}, sort_keys=False))
    return path


@pytest.mark.parametrize("command", ["run", "check"])
def test_commands_refuse_untrusted_configs_at_their_place(cli, spec, command, canary, config):
    code, out, err = cli(command, spec)
    assert (code, out) == (2, "")
    line = 1 + spec.read_text().splitlines().index("  config: mine.py")
    assert f"study.yaml:{line}:11: " in err
    assert str(config) in "".join(err.split())
    assert "--trust-config" in err
    assert not canary.exists()
    assert not Path("work_dirs").exists()


def test_what_only_reads_needs_no_trust(cli, spec, canary):
    assert cli("plan", spec, "--json")[0] == 0
    assert cli("status", spec)[0] == 0
    assert not canary.exists()
