"""The package that `alspec plugins new` writes: it keeps the contract and tests itself."""

import importlib.util
import re
import subprocess
import sys

import pytest
from factories.packages import forget

from alspec.acquisition.conformance import broken_duties
from alspec.acquisition.new_package import write_package
from alspec.errors import InputError


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "attribute"), [("contrast", "Contrast"), ("my-own", "MyOwn")])
def test_its_method_keeps_the_contract(tmp_path, name, attribute):
    package = write_package(name, tmp_path / "plugins")
    assert package == tmp_path / "plugins" / f"alspec-{name}"
    declared = (package / "pyproject.toml").read_text()
    ((module, found),) = re.findall(rf'^{name} = "(\w+):(\w+)"$', declared, re.MULTILINE)
    assert found == attribute
    function = getattr(module_of(package / f"{module}.py"), attribute)
    assert function.name == name
    assert broken_duties(function) == []
    assert "@" not in (package / "README.md").read_text()


def test_it_tests_itself_where_it_is_installed(tmp_path):
    """Installed here as a folder on the path with the entry point that pip would write."""
    package = write_package("contrast", tmp_path)
    info = package / "alspec_contrast-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: alspec-contrast\nVersion: 0.1.0\n")
    entry = "[alspec.acquisition]\ncontrast = alspec_contrast:Contrast\n"
    (info / "entry_points.txt").write_text(entry)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package)],
        cwd=package,
        env={"PYTHONPATH": str(package), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 passed" in ended.stdout


@pytest.mark.parametrize("name", ["Contrast", "con trast", "3d", "a--b", "../up", ""])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="small letters"):
        write_package(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_and_folders_that_are_taken_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"taken by the acquisition function `entropy` of alspec"):
        write_package("entropy", tmp_path)
    write_package("mine", tmp_path)
    with pytest.raises(InputError, match="exists already"):
        write_package("mine", tmp_path)
    forget()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_package("mine", tmp_path / "file")
