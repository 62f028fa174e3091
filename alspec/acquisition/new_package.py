"""Writes a package with an acquisition function, to start one's own from."""

from __future__ import annotations

import re
from pathlib import Path

from alspec import __version__, plugins
from alspec.errors import InputError
from alspec.system.atomic import write_text

_TEMPLATE = Path(__file__).parent / "package_template"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


def write_package(name: str, folder: Path) -> Path:
    """Write `folder/alspec-NAME`: a module, its tests, pyproject.toml and README.md.

    Args:
        name: of the method, as specs will write it.
        folder: where the package's folder is made; it is made too.

    Returns:
        The package's folder.

    Raises:
        InputError: the name is no name or is taken, the folder exists, or nothing can be written.
    """
    if not _NAME.fullmatch(name):
        raise InputError.at(name, "write the name in small letters, as `contrast` or `my-contrast`")
    if name in plugins.names("alspec.acquisition"):
        taken = plugins.maker("alspec.acquisition", name)
        raise InputError.at(name, f"is taken by {taken}; choose another name")
    package = folder / f"alspec-{name}"
    if package.exists():
        raise InputError.at(package, "exists already and is left as it is; choose another name")
    module = f"alspec_{name.replace('-', '_')}"
    values = {
        "@name@": name,
        "@module@": module,
        "@Class@": "".join(part.capitalize() for part in re.split("[-_]", name)),
        "@version@": ".".join(__version__.split(".")[:2]),
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "method.py": f"{module}.py",
        "test_method.py": f"tests/test_{module}.py",
    }
    try:
        (package / "tests").mkdir(parents=True)
        for template, target in files.items():
            text = (_TEMPLATE / f"{template}.txt").read_text("utf-8")
            for mark, value in values.items():
                text = text.replace(mark, value)
            write_text(package / target, text)
    except OSError as err:
        raise InputError.at(err.filename or package, f"cannot be written ({err.strerror})") from err
    return package
