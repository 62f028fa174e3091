"""The conformance suite: built-ins pass it, and each broken duty is caught."""

import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import create_model

from alspec import plugins
from alspec.acquisition import base
from alspec.acquisition.conformance import broken_duties, check_acquisition
from alspec.acquisition.entropy import Entropy
from alspec.acquisition.random import Random

BUILT_INS = ["bald", "coreset", "entropy", "equal", "herding", "random", "uniform"]


@pytest.mark.parametrize("name", BUILT_INS)
def test_built_ins_keep_the_contract(name):
    assert check_acquisition(name) == []


def test_an_unknown_name_is_told():
    (problem,) = check_acquisition("entropie")
    assert "Did you mean `entropy`" in problem


def test_a_class_under_another_name_is_told(monkeypatch):
    monkeypatch.setattr(plugins, "load", lambda group, name: Entropy)
    assert check_acquisition("margin") == ["name is `entropy`, its entry point is `margin`"]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"name": 3}, "name must be a string"),
        ({"version": None}, "version must be an integer from 1"),
        ({"version": True}, "version must be an integer from 1"),
        ({"family": "single"}, "family must be a Family"),
        ({"needs": {base.Need.PROBABILITIES}}, "needs must be a frozenset"),
        ({"family": base.Family.RANDOM}, "never given probabilities"),
        ({"family": base.Family.BATCH}, "must have the method reduce"),
        ({"Params": dict}, "Params must be a pydantic model class"),
        ({"Params": create_model("Loose")}, "refuse unknown keys"),
        ({"family": base.Family.BATCH, "needs": frozenset()}, "must have the method select"),
        ({"needs": frozenset()}, "hold no probabilities: declare it"),
        ({"needs": frozenset({base.Need.PASSES})}, "keep the integer `passes`"),
    ],
)
def test_a_broken_declaration_is_told(attributes, problem):
    broken = type("Broken", (Entropy,), attributes)
    assert any(problem in told for told in broken_duties(broken)), broken_duties(broken)


def noisy(log_p):
    return log_p.mean(dim=(1, 2, 3)) + torch.rand(len(log_p))


@pytest.mark.parametrize(
    ("score", "problem"),
    [
        (lambda log_p: log_p.sum(dim=1), "must have shape (5,)"),
        (lambda log_p: log_p.mean(), "must have shape (5,)"),
        (lambda log_p: log_p.mean(dim=(1, 2, 3)) * torch.nan, "must be finite"),
        (noisy, "the same for the same outputs"),
        (noisy, "global random state of torch"),
        (lambda log_p: log_p.mean(dim=(1, 2, 3)) - log_p.mean(), "other images"),
        (lambda log_p: log_p.no_such_method(), "raised AttributeError"),
    ],
)
def test_a_broken_score_is_told(score, problem):
    broken = type("Broken", (Entropy,), {"score": lambda self, out: score(out.log_p_BCHW)})
    assert any(problem in told for told in broken_duties(broken)), broken_duties(broken)


def draw_globally(ids, n, rng):
    return [ids[row] for row in np.random.permutation(len(ids))[:n]]  # noqa: NPY002


def draw_with_python(ids, n, rng):
    return random.sample(list(ids), n)


@pytest.mark.parametrize(
    ("select", "problem"),
    [
        (lambda ids, n, rng: ids[: n - 1], "must return n=1 ids, got 0"),
        (lambda ids, n, rng: [ids[0]] * n, "twice (n=6)"),
        (lambda ids, n, rng: [f"{i}.png" for i in range(n)], "among the candidates (n=1)"),
        (draw_globally, "global random state of numpy.random"),
        (draw_globally, "same rng seed"),
        (draw_with_python, "global random state of random"),
    ],
)
def test_a_broken_select_is_told(select, problem):
    def method(self, candidates, n, rng):
        return select(candidates.ids, n, rng)

    broken = type("Broken", (Random,), {"select": method})
    assert any(problem in told for told in broken_duties(broken)), broken_duties(broken)


def test_a_constructor_that_raises_is_told():
    broken = type("Broken", (Random,), {"__init__": lambda self: None})
    (problem,) = broken_duties(broken)
    assert problem.startswith("selections: raised TypeError")


def test_something_that_is_no_acquisition_function_is_told():
    problems = broken_duties(SimpleNamespace())
    assert len(problems) == 4


def test_the_functions_import_without_torch():
    modules = ", ".join(f"alspec.acquisition.{name}" for name in [*BUILT_INS, "conformance"])
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
