"""Reaches into other packages' private parts: all on one page, each guarded by a test."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "private-reaches.md"
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("| \n").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]
FOREIGN = {
    "PIL", "click", "cv2", "matplotlib", "mmcv", "mmengine", "mmseg", "numpy", "pandas", "pydantic",
    "pydantic_core", "rich", "safetensors", "scipy", "torch", "typer", "yaml",
}  # fmt: skip
STANDARD = {"_exit", "_asdict"}
"""Names of the standard library that are public although they begin with an underscore."""


def is_foreign(module: str | None) -> bool:
    return (module or "").split(".")[0] in FOREIGN


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in STANDARD


def sources() -> dict[str, ast.Module]:
    package = ROOT / "alspec"
    return {
        path.relative_to(package).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


SOURCES = sources()


def own_names() -> set[str]:
    """Private names that alspec itself defines, anywhere."""
    found = set()
    for node in (node for tree in SOURCES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and on_self(node):
            found.add(node.attr)
    return found


def on_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def reaches(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """Private names of other packages that a module uses, and what it replaces in them."""
    modules = dict(imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_foreign(node.module):
            for alias in node.names:
                if any(is_private(part) for part in (*node.module.split("."), alias.name)):
                    yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if not on_self(node) and node.attr not in own:
                yield ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            yield from of_bases(node, modules)
        for target in targets(node):
            yield from replaced(target, modules)


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a name of the module stands for, for names of other packages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_foreign(node.module):
            yield from ((alias.asname or alias.name, node.module) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if is_foreign(alias.name):
                    yield alias.asname or alias.name.split(".")[0], alias.name


def of_bases(node: ast.ClassDef, modules: dict[str, str]) -> Iterator[str]:
    """Private names of a base class of another package that a class uses or overrides."""
    used = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    used |= {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    used = set(filter(is_private, used))
    for base in node.bases:
        if used and isinstance(base, ast.Name) and base.id in modules:
            importlib.import_module("alspec.models.nets.compat")  # mmseg imports after it alone
            cls = getattr(importlib.import_module(modules[base.id]), base.id)
            if inspect.isclass(cls) and cls is not BaseModel:
                theirs = set(re.findall(r"(?:self\.|def )(_\w+)", inspect.getsource(cls)))
                yield from (f"{node.name}.{name}" for name in sorted(used & theirs))


def targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(").update"):
        return [node.func.value]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "Library"):
        return [node]
    return []


PATCHED = re.compile(
    r"sys\.modules\[|vars\((?!self)|setattr\(|Library\(|\w+\.__\w+__$|"
    r"(?!self\.)\w+\.(forward|cls_criterion|dropout|data_preprocessor)$"
)


def replaced(target: ast.expr, modules: dict[str, str]) -> Iterator[str]:
    """What an assignment puts in the place of something of another package."""
    written = ast.unparse(target)
    name = written.split(".")[0]
    of_module = isinstance(target, ast.Attribute) and name in modules
    if PATCHED.match(written) or of_module:
        yield written


def found() -> set[tuple[str, str]]:
    own = own_names()
    return {(path, what) for path, tree in SOURCES.items() for what in reaches(tree, own)}


def test_every_reach_is_on_the_page() -> None:
    listed = {(where, what.replace('"', "'")) for where, what, *_ in ROWS}
    missing = {
        reach
        for reach in found()
        if not any(reach[0] == where and reach[1].startswith(what) for where, what in listed)
    }
    assert not missing, f"add to {PAGE.name}, with the reason and a test that guards it: {missing}"


def test_the_search_sees_what_it_should() -> None:
    """The page cannot be complete by a search that finds nothing."""
    seen = {what for _, what in found()}
    assert {"decode_head.accuracy", "runner.train_loop._iter", "StepRunner._log_env"} <= seen
    made = "import torch\nfrom mmseg.x import _y\ntorch.add = 1\nz._hidden\nm.forward = f\n"
    assert set(reaches(ast.parse(made), set())) == {
        "mmseg.x._y", "torch.add", "z._hidden", "m.forward",
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_row_has_its_code_and_its_test(row: list[str]) -> None:
    where, what, reason, guard = row
    code = (ROOT / "alspec" / where).read_text(encoding="utf-8").replace('"', "'")
    assert what.replace('"', "'").rsplit(".", 1)[-1] in code
    assert reason
    path, _, name = guard.partition("::")
    test = (ROOT / "tests" / path).read_text(encoding="utf-8")
    assert f"def {name}(" in test if name else "def test_" in test


def test_what_is_overridden_is_still_called() -> None:
    from mmengine.runner import Runner

    calls = inspect.getsource(Runner)
    for name in ("setup_env", "set_randomness", "build_logger", "build_visualizer", "wrap_model",
                 "_log_env", "dump_config", "_init_model_weights"):  # fmt: skip
        assert callable(getattr(Runner, name)), name
        assert f"self.{name}(" in calls, name
    for name in ("_timestamp", "_seed", "_deterministic", "_experiment_name"):
        assert f"self.{name}" in calls, name


def test_auxiliary_heads_are_trained_by_this_name() -> None:
    from alspec.models.nets import compat  # isort: skip  # noqa: F401
    from mmseg.models.segmentors import EncoderDecoder

    train = EncoderDecoder._auxiliary_head_forward_train
    assert list(inspect.signature(train).parameters) == ["self", "inputs", "data_samples"]
    assert "self._auxiliary_head_forward_train(" in inspect.getsource(EncoderDecoder.loss)


@pytest.mark.parametrize("wrong", ["8", True, 8.0, None])
def test_numbers_are_strict_and_lists_become_tuples(wrong: object) -> None:
    from alspec.spec.fields import Frozen

    class Inner(Frozen):
        sizes: tuple[int, ...]

    class Spec(Frozen):
        inner: Inner | None = None
        count: int = 1

    assert Spec.model_validate({"inner": {"sizes": [8]}}).inner == Inner(sizes=(8,))
    with pytest.raises(ValidationError):
        Spec.model_validate({"count": wrong})
    with pytest.raises(ValidationError):
        Spec.model_validate({"inner": {"sizes": [wrong]}})


def test_packages_of_the_api_s_names_can_be_called() -> None:
    import alspec

    for name in ("plan", "run", "results", "recommend"):
        package = getattr(alspec, name)
        assert callable(package)
        assert inspect.ismodule(package)
    assert alspec.recommend(redundancy="high", budget="high", ssl=True)[0].methods == ("coreset",)
