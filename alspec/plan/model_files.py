"""Identity of the files a model is made of, without running any of them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alspec.errors import InputError, Problem
from alspec.spec.model import ModelConfig, Study
from alspec.store import sha256_of


@dataclass(frozen=True)
class ModelFiles:
    """What of a study's model goes into keys, and where its files lie on this machine."""

    identity: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def model_files(study: Study) -> ModelFiles:
    """Find and hash the model's files; none is run.

    Raises:
        InputError: every file that is missing or cannot be read, at its place in the spec.
    """
    found = ModelFiles()
    problems: list[Problem] = []
    wanted: list[tuple[str, tuple[str, ...], str | None]] = [
        ("pretrained", ("pretrained",), study.pretrained)
    ]
    if isinstance(study.model, ModelConfig):
        wanted.append(("checkpoint", ("model", "checkpoint"), study.model.checkpoint))
        try:
            found.identity["config_sha256"], found.places["config"] = config_sha256(
                Path(study.model.config)
            )
        except InputError as err:
            problems += err.problems
    else:
        found.identity["name"] = study.model
    for name, loc, path in wanted:
        if path is None:
            continue
        try:
            found.identity[f"{name}_sha256"] = sha256_of(Path(path))
            found.places[name] = path
        except OSError as err:
            what = f"the weights {path} cannot be read: {err.strerror}. Correct the path"
            problems.append(Problem(path, what, loc=loc))
    if problems:
        raise InputError(problems)
    return found


def config_sha256(config: Path) -> tuple[str, str]:
    """SHA-256 over an MMSegmentation config and every file it builds on, and its absolute path.

    A path that does not exist here is looked for among the configs that mmsegmentation ships
    (`configs/...` or what follows it).

    Raises:
        InputError: no such file, or one of the files it builds on is missing.
    """
    path = _find(config)
    digest = hashlib.sha256()
    for file in _with_bases(path, ()):
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
    raise _refused(config, "is neither here nor among the configs that mmsegmentation ships")


def _with_bases(path: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """The file, then what it builds on, depth first; `above` are the files that led to it."""
    if path in above:
        raise _refused(path, "builds on itself")
    try:
        tree = ast.parse(path.read_text("utf-8"))
        bases = [base for node in tree.body for base in _bases_of(node)]
    except (OSError, SyntaxError, ValueError, TypeError) as err:
        raise _refused(path, f"cannot be read as a config ({err})") from err
    yield path
    for base in bases:
        yield from _with_bases((path.parent / base).resolve(), (*above, path))


def _bases_of(node: ast.stmt) -> Iterator[str]:
    """The files named in `_base_ = ...`, or imported under `with read_base():`."""
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if "_base_" in names:
            bases = ast.literal_eval(node.value)
            yield from [bases] if isinstance(bases, str) else bases
    elif isinstance(node, ast.With) and "read_base" in ast.unparse(node.items[0].context_expr):
        for imported in node.body:
            if isinstance(imported, ast.ImportFrom) and imported.module and imported.level:
                yield "../" * (imported.level - 1) + imported.module.replace(".", "/") + ".py"


def _refused(config: Path, why: str) -> InputError:
    what = f"the config file {config} {why}. Correct `model.config`"
    return InputError([Problem(str(config), what, loc=("model", "config"))])
