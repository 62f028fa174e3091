"""The sources call nothing that runs what a file says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("alspec/**/*.py"), *ROOT.glob("plugins/*/*.py")])

UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
PICKLE_CALLS = {"load", "loads", "Unpickler", "open", "_load", "_loads", "_Unpickler"}
MMENGINE = {"load_checkpoint", "CheckpointLoader", "load_from_local", "_load_checkpoint"}
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
YAML_SAFE = {"safe_load", "safe_dump", "compose", "parse", "scan", "dump"}


def dotted(node: ast.AST) -> str:
    """`a.b.c` as text; of anything else its last name alone."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported_as(tree: ast.AST) -> dict[str, str]:
    """Name in this file to what it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def is_constant(keyword: ast.keyword, value: object) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is value


def call_faults(call: ast.Call, names: dict[str, str]) -> list[str]:
    head, _, rest = dotted(call.func).partition(".")
    called = names.get(head, head) + (f".{rest}" if rest else "")
    module, _, name = called.rpartition(".")
    keywords = {keyword.arg: keyword for keyword in call.keywords}
    found = []
    if not module and name in BUILTINS:
        found.append(f"{name}()")
    if module.split(".")[0] in UNPICKLING and name in PICKLE_CALLS:
        found.append(called)
    if module == "yaml" and ("load" in name or name[0].isupper()) and name not in YAML_SAFE:
        found.append(called)
    if called in ("torch.load", "torch.serialization.load"):
        only = keywords.get("weights_only")
        if only is None or not is_constant(only, True):
            found.append("torch.load without weights_only=True")
    if called in ("numpy.load", "np.load") and not (
        "allow_pickle" in keywords and is_constant(keywords["allow_pickle"], False)
    ):
        found.append("np.load without allow_pickle=False")
    if name in ("read_pickle", "to_pickle", "load_state_dict_from_url"):
        found.append(called)
    if name == "Runner" and {"load_from", "resume"} & keywords.keys():
        found.append("mmengine's Runner loads")
    if name == "system" or ("shell" in keywords and not is_constant(keywords["shell"], False)):
        found.append("a shell")
    return found


def faults(source: str) -> list[str]:
    """What a source must not hold, with line numbers."""
    tree = ast.parse(source)
    names = imported_as(tree)
    found: list[str] = []
    for node in ast.walk(tree):
        said: list[str] = []
        if isinstance(node, ast.Call):
            said = call_faults(node, names)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            said = [] if is_constant(node, False) else ["allow_pickle"]
        if isinstance(node, ast.keyword) and node.arg == "weights_only":
            said = [] if is_constant(node, True) else ["weights_only is not True"]
        if isinstance(node, ast.Attribute) and node.attr in MMENGINE:
            said = [f"mmengine's {node.attr}"]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            roots = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else roots
            said = [f"import {m}" for m in modules if m.split(".")[0] in UNPICKLING]
            said += [f"mmengine's {name}" for name in roots if name in MMENGINE]
        found += [f"line {getattr(node, 'lineno', '?')}: {what}" for what in said]
    return found


def test_there_are_sources():
    names = {path.relative_to(ROOT).as_posix() for path in SOURCES}
    assert {"alspec/store/store.py", "alspec/models/nets/weights.py"} <= names
    assert any(name.startswith("plugins/") for name in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_runs_what_a_file_says(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads\nloads(b)",
        "import pickle as p\np.Unpickler(f).load()",
        "import dill",
        "import joblib\njoblib.load(f)",
        "import shelve",
        "import marshal\nmarshal.loads(b)",
        "import yaml\nyaml.load(f)",
        "import yaml\nyaml.load(f, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.unsafe_load(f)",
        "import yaml\nyaml.full_load_all(f)",
        "from yaml import load as read\nread(f)",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "import torch\ntorch.load(f, weights_only=safe)",
        "from torch import load\nload(f)",
        "import numpy as np\nnp.load(f)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "read_array(f, allow_pickle=flag)",
        "import pandas as pd\npd.read_pickle(f)",
        "from mmengine.runner import load_checkpoint",
        "import mmengine.runner as r\nr.load_checkpoint(m, f)",
        "from mmengine.runner import CheckpointLoader",
        "Runner(m, load_from=f)",
        "Runner(m, resume=True)",
        "model_runner.load_checkpoint(f)",
        "eval(text)",
        "exec(text)",
        "compile(text, 'f', 'exec')",
        "__import__(name)",
        "import os\nos.system(text)",
        "import subprocess\nsubprocess.run(text, shell=True)",
    ],
)
def test_the_scan_finds(source):
    assert faults(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.load(f)",
        "import torch\ntorch.load(f, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(f, allow_pickle=False)",
        "import ast\nast.literal_eval(text)",
        "model.eval()",
        "import re\nre.compile(text)",
    ],
)
def test_the_scan_lets_pass(source):
    assert faults(source) == []
