"""Identity of the files a model is made of, without running any of them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from alspec.errors import InputError, Problem


@cache
def file_sha256(path: Path, loc: tuple[str, ...]) -> str:
    """SHA-256 of a weights file. Raises InputError, placed at `loc` in the spec, if it is not there."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as err:
        what = f"{path}: cannot be read ({err.strerror})"
        raise InputError([Problem(str(path), what, loc=loc)]) from err
    return digest.hexdigest()


def config_sha256(config: Path) -> tuple[str, str]:
    """SHA-256 over an MMSegmentation config and every file it builds on, and its absolute path.

    A path that does not exist here is looked for among the configs that mmsegmentation ships
    (`configs/...` or what follows it).

    Raises:
        InputError: no such file, or one of its `_base_` files is missing.
    """
    path = _find(config)
    digest = hashlib.sha256()
    for file in _with_bases(path):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest(), str(path)


def _find(config: Path) -> Path:
    shipped = []
    package = importlib.util.find_spec("mmseg")
    if package and package.origin:
        home = Path(package.origin).parent / ".mim"
        shipped = [home / config, home / "configs" / config]
    for candidate in (config, *shipped):
        if candidate.is_file():
            return candidate.absolute()
    what = f"no config file {config}, neither here nor among those that mmsegmentation ships"
    raise InputError([Problem(str(config), what, loc=("model", "config"))])


def _with_bases(path: Path) -> list[Path]:
    """The file, then what it names in `_base_`, depth first."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as err:
        what = f"{path}: cannot be read as a config ({err})"
        raise InputError([Problem(str(path), what, loc=("model", "config"))]) from err
    found = [path]
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "_base_" for target in node.targets
        ):
            bases = ast.literal_eval(node.value)
            for base in [bases] if isinstance(bases, str) else bases:
                found += _with_bases((path.parent / base).resolve())
    return found
