"""What an acquisition function may not answer, and what it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.performed_steps import Performed

from alspec import plugins
from alspec.errors import PluginError
from alspec.steps import acquire
from alspec.steps.work import StepContext


class Stub:
    """An acquisition function of a stranger's, in the place of a built-in of its family."""

    def __init__(self, kind: Any, answer: Any) -> None:
        self.name, self.family, self.needs = kind.name, kind.family, kind.needs
        self.Params, self.version = kind.Params, kind.version
        self.answer = answer

    def __call__(self, params: Any) -> Stub:
        self.params = params
        return self

    def score(self, outputs: Any) -> Any:
        return self.answer(outputs)

    def select(self, candidates: Any, n: int, rng: np.random.Generator) -> Any:
        return self.answer(candidates, n)


def acquired(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, folder: Path, method: str, answer: Any
) -> list[str]:
    real = plugins.load
    stub = Stub(real("alspec.acquisition", method), answer)
    monkeypatch.setattr(
        plugins,
        "load",
        lambda group, name: stub if group == "alspec.acquisition" else real(group, name),
    )
    monkeypatch.setattr(
        plugins,
        "declared",
        lambda group: [plugins.Plugin(group, method, "alspec-stranger 0.3.1", "stranger:Odd")],
    )
    key = performed.run_of(method).sets[1].acquire
    assert key
    acquire.perform(performed.work(performed.plan.steps[key], folder))
    return (folder / "selected.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda outputs: torch.zeros(1), r"shape \(1,\) for 8 images"),
        (lambda outputs: torch.zeros(len(outputs.log_p_BCHW), 1), r"shape \(8, 1\)"),
        (lambda outputs: np.zeros(len(outputs.log_p_BCHW)), "ndarray"),
        (lambda outputs: None, "NoneType"),
        (lambda outputs: torch.full((len(outputs.log_p_BCHW),), torch.nan), "not finite"),
        (lambda outputs: torch.full((len(outputs.log_p_BCHW),), torch.inf), "not finite"),
    ],
)
def test_scores_that_break_the_contract_name_the_package(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Any, words: str
) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        acquired(performed, monkeypatch, tmp_path, "entropy", answer)
    assert "`entropy` of alspec-stranger 0.3.1" in str(caught.value)
    assert not list(tmp_path.iterdir())


def raising(error: BaseException) -> Any:
    def answer(*_: Any) -> Any:
        raise error

    return answer


@pytest.mark.parametrize("method", ["entropy", "coreset"])
@pytest.mark.parametrize("error", [KeyError("my bug"), SystemExit(3), RuntimeError("x")])
def test_what_a_stranger_raises_names_the_package(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str, error: Any
) -> None:
    with pytest.raises(PluginError, match=f"raised {type(error).__name__}: ") as caught:
        acquired(performed, monkeypatch, tmp_path, method, raising(error))
    assert f"`{method}` of alspec-stranger 0.3.1" in str(caught.value)
    assert caught.value.__cause__ is error
    assert not list(tmp_path.iterdir())


def test_memory_that_runs_out_is_left_to_the_worker_to_explain(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        acquired(performed, monkeypatch, tmp_path, "entropy", raising(error))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda candidates, n: candidates.ids[: n - 1], "chose 1 images instead of 2"),
        (lambda candidates, n: candidates.ids[:1] * n, "twice"),
        (lambda candidates, n: ["elsewhere", *candidates.ids[1:n]], "elsewhere, which is not"),
        (lambda candidates, n: None, "NoneType"),
    ],
)
def test_choices_that_break_the_contract_name_the_package(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Any, words: str
) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        acquired(performed, monkeypatch, tmp_path, "coreset", answer)
    assert "`coreset` of alspec-stranger 0.3.1" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_labelled_image_cannot_be_chosen_again(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again = performed.labelled(performed.run_of("random").sets[0].acquire)[:2]
    with pytest.raises(PluginError, match="is not a candidate"):
        acquired(performed, monkeypatch, tmp_path, "random", lambda candidates, n: again)


def test_equal_scores_are_chosen_in_the_order_of_ids(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_time_order = StepContext.pool
    monkeypatch.setattr(StepContext, "pool", lambda work: in_time_order(work)[::-1])
    constant = acquired(
        performed,
        monkeypatch,
        tmp_path,
        "entropy",
        lambda outputs: torch.ones(len(outputs.log_p_BCHW)),
    )
    initial = performed.labelled(performed.run_of("entropy").sets[0].acquire)
    assert constant == sorted(set(performed.pool_ids()) - set(initial))[:2]


def test_a_batch_method_sees_candidates_and_features_and_nothing_else(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offered: list[Any] = []

    def choose(candidates: Any, n: int) -> Any:
        offered.append(candidates)
        return candidates.ids[-n:]

    acquired(performed, monkeypatch, tmp_path, "coreset", choose)
    (candidates,) = offered
    assert len(candidates.ids) == len(candidates.sequences) == 9
    assert candidates.features_ND.shape == (9, 48)
    assert candidates.labelled_features_MD.shape == (3, 48)
    assert candidates.ids == sorted(candidates.ids), "in time order"
