"""Packages of strangers, made in a folder on the path."""

from __future__ import annotations

import sys

import pytest

from alspec import plugins
from alspec.errors import InputError, PluginError
from alspec.plan.arms import acquisition_function
from alspec.plan.expand import expand
from alspec.spec.model import Study

GROUP = "alspec.acquisition"
WHOLE = """
from alspec.acquisition.base import Family, Params as Base
class Method:
    '''A stranger.'''
    name, family, needs, version, Params = "it", Family.RANDOM, frozenset(), 1, Base
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package with one acquisition function in a folder on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name, method, code, target="Method"):
        module = name.replace("-", "_")
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{method} = {module}:{target}\n")
        plugins._entry_points.cache_clear()
        plugins.load.cache_clear()
        return module

    yield make
    plugins._entry_points.cache_clear()
    plugins.load.cache_clear()


def test_names_are_read_without_import(package):
    module = package("alspec-lazy", "lazy", "raise RuntimeError")
    assert "lazy" in plugins.names(GROUP)
    assert "alspec-lazy 1.2" in {plugin.package for plugin in plugins.declared(GROUP)}
    assert module not in sys.modules


@pytest.mark.parametrize("code", ["import no_such_module", "raise SystemExit(3)", "1 / 0", "x ="])
def test_a_plugin_that_cannot_be_loaded_names_its_package(package, cli, code):
    package("alspec-broken", "broken", code)
    with pytest.raises(PluginError, match=r"alspec-broken 1\.2 .*could not be loaded.*Others: "):
        plugins.load(GROUP, "broken")
    exit_code, out, _ = cli("plugins", "list")
    assert exit_code == 0
    assert "broken" in out
    assert "entropy" in out


def test_two_packages_with_one_name_are_both_named(package):
    package("alspec-one", "twice", WHOLE)
    package("alspec-two", "twice", WHOLE)
    with pytest.raises(PluginError, match=r"alspec-one 1\.2 and alspec-two 1\.2"):
        plugins.load(GROUP, "twice")


def test_a_misspelt_name_is_met_with_a_suggestion():
    with pytest.raises(PluginError, match="Did you mean `entropy`"):
        plugins.load(GROUP, "entorpy")


@pytest.mark.parametrize("attribute", ["family", "needs", "version"])
def test_what_the_plan_needs_must_be_declared(package, attribute):
    package("alspec-half", "half", f"{WHOLE}\ndel Method.{attribute}\n")
    with pytest.raises(PluginError, match=rf"alspec-half 1\.2 must declare `{attribute}`"):
        acquisition_function("half")


def test_a_plugin_joins_a_study(package, toy_spec):
    package("alspec-whole", "whole", WHOLE)
    plan = expand(Study.model_validate({**toy_spec, "methods": ["whole"]}))
    assert {run.method for run in plan.runs} == {"whole", "full"}


def test_no_plugin_can_take_the_name_of_the_initial_draw(package, toy_spec):
    package("alspec-first", "initial", WHOLE)
    study = Study.model_validate({**toy_spec, "methods": ["initial"]})
    with pytest.raises(InputError, match="first labelled set"):
        expand(study)
