"""The packages below plugins/: each keeps the contract, cites its source and declares itself."""

import importlib.util
import re
from pathlib import Path

import pytest

from alspec import __version__
from alspec.acquisition.conformance import broken_duties

PLUGINS = sorted((Path(__file__).parents[2] / "plugins").glob("alspec-*"))


def test_there_are_seven():
    assert {path.name.removeprefix("alspec-") for path in PLUGINS} >= {
        *("margin", "badge", "kmeanspp", "powerbald", "typiclust", "probcover", "clasp"),
    }


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_package_declares_a_method_that_keeps_the_contract(package):
    declared = (package / "pyproject.toml").read_text()
    ((name, module, attribute),) = re.findall(r'^(\w+) = "(\w+):(\w+)"$', declared, re.MULTILINE)
    spec = importlib.util.spec_from_file_location(module, package / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    function = getattr(loaded, attribute)
    assert function.name == name == package.name.removeprefix("alspec-")
    assert broken_duties(function) == []


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_its_readme_says_how_and_where_it_comes_from(package):
    text = (package / "README.md").read_text()
    assert f"pip install ./plugins/{package.name}" in text
    assert f"pytest plugins/{package.name}" in text
    assert re.search(r"\b(20[0-2]\d|et al\.)", text)


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_package_goes_with_this_version(package):
    declared = (package / "pyproject.toml").read_text()
    ((low, high),) = re.findall(r'"alspec>=([0-9.]+),<([0-9.]+)"', declared)
    here, *bounds = [tuple(map(int, v.split(".")[:2])) for v in (__version__, low, high)]
    assert bounds[0] <= here < bounds[1]
