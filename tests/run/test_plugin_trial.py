"""Misbehaving plugins: tried apart, each named with what it does; other commands go on."""

import json

import pytest
from factories.packages import installed

from alspec.run import plugin_trial
from alspec.run.plugin_trial import try_plugin
from alspec.system.interpreter import MORE_FOLDERS

START = """
import numpy as np, os, random, sys, time
import torch
from pathlib import Path
from alspec.acquisition.base import Family, Need, Params as Base
class Method:
    '''A stranger.'''
    name, family, needs, version, Params = "odd", Family.RANDOM, frozenset(), 1, Base
    def __init__(self, params): self.params = params
    def select(self, candidates, n, rng):
        ids = list(candidates.ids)
        {body}
class Single(Method):
    family, needs = Family.SINGLE, frozenset({{Need.PROBABILITIES}})
    def score(self, outputs):
        log_p = outputs.log_p_BCHW
        {body}
"""
RANDOM = "return [ids[i] for i in rng.permutation(len(ids))[:n]]"

# how it is named, its code, what is said of it; the first few are tried by default
CASES = {
    "hangs": ("Method", "time.sleep(600)", "trial: not finished within"),
    "ends-the-process": ("Method", "sys.exit(3)", "trial: the process exited with 3"),
    "aborts": ("Method", "os.abort()", "trial: the process was ended by SIGABRT"),
    "eats-memory": ("Method", "torch.ones(2**36)", "(it may take 4 GB for a dozen images)"),
    "prints": ("Method", f"print('hello'); {RANDOM}", "prints on standard output ('hello"),
    "leaves-a-process": (
        "Method",
        f"os.fork() or time.sleep(600); {RANDOM}",
        "leaves a process behind",
    ),
    "raises": ("Method", "raise KeyError('my bug')", "raised KeyError: 'my bug'"),
    "too-few": ("Method", "return ids[: n // 2]", "must return n=1 ids, got 0"),
    "repeats": ("Method", "return ids[:1] * n", "must not return an id twice"),
    "foreign": ("Method", "return [f'x{i}' for i in range(n)]", "among the candidates"),
    "reseeds-numpy": ("Method", f"np.random.seed(0); {RANDOM}", "random state of numpy.random"),
    "global-chance": ("Method", "random.shuffle(ids); return ids[:n]", "random state of random"),
    "ignores-the-seed": (
        "Method",
        "return [ids[i] for i in np.random.default_rng().permutation(len(ids))[:n]]",
        "the same for the same rng seed",
    ),
    "changes-candidates": ("Method", f"candidates.ids.sort(reverse=True); {RANDOM}", "leave the"),
    "opens-files": ("Method", f"open('labels.txt', 'a').close(); {RANDOM}", "it opens "),
    "nan": ("Single", "return log_p.mean(dim=(1, 2, 3)) * torch.nan", "must be finite"),
    "wrong-shape": ("Single", "return log_p.mean()", "must have shape (5,)"),
    "of-the-batch": (
        "Single",
        "return log_p.mean(dim=(1, 2, 3)) - log_p.mean()",
        "must not depend on the other images",
    ),
    "undeclared": ("Single", "return outputs.log_p_mirror_BCHW.sum(dim=(1, 2, 3))", "declare it"),
    "import-error": ("Missing", "pass", "could not be loaded: AttributeError"),
}
QUICK = ("hangs", "ends-the-process", "eats-memory", "prints")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if case in QUICK else pytest.mark.slow, id=case)
        for case in CASES
    ],
)
def test_what_a_plugin_does_is_told(tmp_path, monkeypatch, cli, case):
    target, body, told = CASES[case]
    monkeypatch.setenv(MORE_FOLDERS, str(tmp_path))
    seconds = 15 if case == "hangs" else 120
    with installed(tmp_path, "alspec-odd", {"odd": target}, START.format(body=body)):
        problems = try_plugin("alspec.acquisition", "odd", seconds)
        assert any(told in problem for problem in problems), problems
        code, out, _ = cli("plugins", "list", "--json")  # other commands work
        assert code == 0
        assert {"odd", "entropy"} <= {plugin["name"] for plugin in json.loads(out)}


@pytest.mark.parametrize("name", ["random", pytest.param("coreset", marks=pytest.mark.slow)])
def test_built_ins_pass(name):
    assert try_plugin("alspec.acquisition", name) == []


def test_a_dataset_kind_passes():
    assert try_plugin("alspec.datasets", "toy") == []


def test_the_command_names_the_package_and_gives_an_exit_code(tmp_path, monkeypatch, cli):
    monkeypatch.setenv(MORE_FOLDERS, str(tmp_path))
    code = START.format(body=RANDOM) + "\n    version = 0\nMethod.version = 'new'\n"
    with installed(tmp_path, "alspec-odd", {"odd": "Method"}, code):
        exit_code, out, _ = cli("plugins", "check", "odd")
        assert exit_code == 2
        assert "version must be an integer" in out
        assert (
            "the acquisition function `odd` of alspec-odd 1.2 violates its contract in 1 points"
            in out
        )
        monkeypatch.setattr(plugin_trial, "try_plugin", lambda *asked: ["bad"])
        exit_code, out, _ = cli("plugins", "check", "odd", "--json")
        assert exit_code == 2
        assert json.loads(out)["problems"] == ["bad"]
