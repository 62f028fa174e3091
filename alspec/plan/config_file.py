"""An MMSegmentation config file is code: what it is made of, and whether it may be run."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from alspec.errors import InputError, Problem
from alspec.spec.model import ModelConfig, Study
from alspec.system.reading import read_text_file

CONFIG_BYTES = 16 << 20

TRUST_OPTION = "--trust-config"


def config_sha256(config: Path) -> tuple[str, str]:
    """SHA-256 over an MMSegmentation config and every file it builds on, and its absolute path.

    It is taken of what the files say as Python reads them: comments, blank lines, quotes and
    docstrings change nothing. A path that does not exist here is looked for among the configs that
    mmsegmentation ships (`configs/...` or what follows it). Nothing is run.

    Raises:
        InputError: no such file, or one of the files it builds on is missing or no Python.
    """
    path = _find(config)
    digest = hashlib.sha256()
    for file in _with_bases(path, ()):
        digest.update(hashlib.sha256(_canonical(file).encode()).digest())
    return digest.hexdigest(), str(path)


def _canonical(path: Path) -> str:
    """The statements of a config as text that is the same in every version of Python."""
    body = ast.parse(path.read_text("utf-8")).body
    return json.dumps([_as_data(statement) for statement in body if not _says_nothing(statement)])


def _says_nothing(statement: ast.stmt) -> bool:
    """A docstring, or another bare value."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _as_data(part: object) -> object:
    if isinstance(part, ast.AST):
        fields = {name: _as_data(value) for name, value in ast.iter_fields(part) if name != "kind"}
        given = {name: value for name, value in fields.items() if value not in (None, [])}
        return [type(part).__name__, given]
    if isinstance(part, list):
        return [_as_data(item) for item in part]
    return f"{type(part).__name__} {part!r}"


def is_shipped(config: Path) -> bool:
    """Whether a config lies in the installed mmsegmentation, with every file it builds on."""
    home = _shipped()
    if home is None:
        return False
    configs = (home / "configs").resolve()
    files = _with_bases(_find(config), ())
    return all(file.resolve().is_relative_to(configs) for file in files)


def require_trust(study: Study, *, trusted: bool) -> None:
    """Refuse a study whose config file would be run without being trusted.

    Args:
        study: what is to be run.
        trusted: by the user, on the command line.

    Raises:
        InputError: the config is not mmsegmentation's own, and not trusted.
    """
    model = study.model
    if trusted or not isinstance(model, ModelConfig) or is_shipped(Path(model.config)):
        return
    what = (
        f"the config file {model.config} is code, which training runs, and not one that "
        f"mmsegmentation ships. Read it, and if you trust it add {TRUST_OPTION}"
    )
    raise InputError([Problem(model.config, what, loc=("model", "config"))])


def runnable_config(identity: Mapping[str, object], local_paths: Mapping[str, str]) -> Path | None:
    """The config file that a training may run; None where the model has none.

    Args:
        identity: what is part of the step's key, with the planned `config_sha256`.
        local_paths: the file as `config`, and as `trusted_config` the SHA-256 that the user trusts.

    Raises:
        InputError: the file is not the planned one any more, or nobody trusts it.
    """
    if "config" not in local_paths:
        return None
    config = Path(local_paths["config"])
    found, _ = config_sha256(config)
    if found != identity.get("config_sha256"):
        raise _refused(config, "changed since it was planned; run again")
    if local_paths.get("trusted_config") != found and not is_shipped(config):
        raise _refused(config, f"is code and not trusted; run with {TRUST_OPTION}")
    return config


def _shipped() -> Path | None:
    """Where the installed mmsegmentation keeps its configs."""
    package = importlib.util.find_spec("mmseg")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / ".mim"


def _find(config: Path) -> Path:
    home = _shipped()
    shipped = [home / config, home / "configs" / config] if home else []
    for candidate in (config, *shipped):
        if candidate.is_file():
            return candidate.absolute()
    why = "exists neither here nor among the configs that mmsegmentation ships"
    raise _refused(config, f"{why}. Correct `model.config`")


def _with_bases(path: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """The file, then what it builds on, depth first; `above` are the files that led to it."""
    if path in above:
        raise _refused(path, "builds on itself. Correct `_base_`")
    if path.suffix != ".py":
        # MMEngine reads YAML with a loader that makes any object; its own configs are Python.
        raise _refused(path, "is not a `.py` file. Write it in Python, as MMSegmentation's own")
    try:
        tree = ast.parse(read_text_file(path, CONFIG_BYTES))
        bases = [base for node in tree.body for base in _bases_of(node)]
    except (OSError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as err:
        why = f"cannot be read as a config ({err}). Correct `model.config`"
        raise _refused(path, why) from err
    yield path
    for base in bases:
        if "::" in base:
            package, _, rest = base.partition("::")
            why = f"builds on `{base}`, and configs of a package by name are not supported"
            raise _refused(path, f"{why}. Write the path of {rest} in {package} in its place")
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
    what = f"the config file {config} {why}"
    return InputError([Problem(str(config), what, loc=("model", "config"))])
