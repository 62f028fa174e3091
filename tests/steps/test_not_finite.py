"""NaN and infinity in a loss, in weights, in predictions: a failed step that names where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from factories.performed_steps import CPU, Performed, study
from torch import Tensor

from alspec.errors import StepFailed
from alspec.models.inference.outputs import BatchOutputs
from alspec.models.training import s4gan
from alspec.plan.expand import expand
from alspec.plan.step import Step
from alspec.run.executors.worker import work_on
from alspec.steps import acquire, evaluate, pool_outputs
from alspec.steps.work import WorkerContext

pytestmark = pytest.mark.usefixtures("small_discriminator")

INFINITE = [float("nan"), float("inf"), float("-inf")]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    """A study of two arms, up to the first trainings."""
    everything = {"threshold": 0.0}  # so that every image is accepted for self-training
    plan = expand(study(methods=["random"], ssl=[False, True], baselines=[], s4gan=everything))
    performed = Performed(tmp_path_factory.mktemp("begun"), plan)
    performed.perform(plan.steps[plan.settings[0].pool_step])
    performed.perform(plan.steps[plan.runs[0].sets[0].acquire])
    return performed


def train_step(begun: Performed, ssl: bool) -> Step:
    (run,) = [run for run in begun.plan.runs if run.ssl == ssl]
    return begun.plan.steps[run.sets[0].train]


def refused(begun: Performed, step: Step, words: str) -> None:
    worker_context = WorkerContext(CPU, checkpoint_iterations=1)
    with pytest.raises(StepFailed, match=words):
        work_on(step, begun.store, worker_context, lambda done, total: None)
    assert not begun.store.is_done(step.key)
    assert not begun.store.checkpoints(step.key).exists()
    assert list((begun.store.root / "drafts").iterdir()) == []


@pytest.mark.parametrize("value", INFINITE)
def test_the_discriminators_loss(begun: Performed, monkeypatch: Any, value: float) -> None:
    original, calls = s4gan.F.binary_cross_entropy_with_logits, 0

    def broken(scores: Tensor, targets: Tensor) -> Tensor:
        nonlocal calls
        calls += 1  # two an iteration
        return original(scores, targets) * (value if calls > 4 else 1)

    monkeypatch.setattr(s4gan.F, "binary_cross_entropy_with_logits", broken)
    words = "loss_discriminator.* not finite from iteration 3 on. Lower training.lr"
    refused(begun, train_step(begun, True), words)


@pytest.mark.parametrize("name", ["feature_matching", "self_training"])
def test_the_losses_of_ssl(begun: Performed, monkeypatch: Any, name: str) -> None:
    original = getattr(s4gan, name)
    monkeypatch.setattr(s4gan, name, lambda *given: original(*given) * float("nan"))
    words = f"loss_{name}.* not finite from iteration 1 on"
    refused(begun, train_step(begun, True), words)


@pytest.mark.parametrize("value", INFINITE)
@pytest.mark.parametrize("ssl", [False, True])
def test_weights_after_the_last_iteration(
    begun: Performed, monkeypatch: Any, ssl: bool, value: float
) -> None:
    """The loss of the last iteration was finite; what its update made is not."""
    step = train_step(begun, ssl)
    original, steps = torch.optim.SGD.step, 0

    def last_update(self: Any, *given: Any) -> None:
        nonlocal steps
        original(self, *given)
        steps += 1
        if steps == 4:
            self.param_groups[1]["params"][0].data[0] = value

    monkeypatch.setattr(torch.optim.SGD, "step", last_update)
    words = r"diverged in its last iteration: 1 weights are not finite, the first decode_head\."
    refused(begun, step, words)
    assert steps == 4


@pytest.mark.parametrize("value", INFINITE)
def test_predictions_to_be_measured(
    performed: Performed, tmp_path: Path, monkeypatch: Any, value: float
) -> None:
    step = performed.plan.steps[performed.run_of("random").sets[0].evaluate]
    original = evaluate.outputs_of

    def broken(*given: Any, **how: Any) -> Any:
        outputs = original(*given, **how)
        outputs._logits[1, 0, 3, 4] = value
        return outputs

    monkeypatch.setattr(evaluate, "outputs_of", broken)
    second = performed.work(step, tmp_path).dataset().frames(evaluate.Split.VAL)[1].id
    with pytest.raises(StepFailed, match=f"predictions for {second} are not finite. Lower"):
        evaluate.perform(performed.work(step, tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", INFINITE)
@pytest.mark.parametrize("method", ["entropy", "equal", "bald"])
def test_predictions_to_be_scored(
    performed: Performed, tmp_path: Path, monkeypatch: Any, method: str, value: float
) -> None:
    """One pixel of one class, of one image, in one pass: -inf alone would go unseen in a score."""
    chosen = performed.run_of(method, dropout=method == "bald").sets[1].acquire
    assert chosen
    step, original = performed.plan.steps[chosen], pool_outputs.load_trained

    def broken(*given: Any) -> Any:
        segmentor = original(*given)
        calls = 0

        def spoil(_module: Any, _inputs: Any, logits: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            if method == "equal" and calls == 1:  # the mirrored view, the second half of a batch
                logits = logits.clone()
                logits[len(logits) // 2, 1, 2, 2] = value
            elif method != "equal" and calls == 2:  # of bald the second pass
                logits = logits.clone()
                logits[0, 1, 2, 2] = value
            return logits

        segmentor.decode_head.conv_seg.register_forward_hook(spoil)
        return segmentor

    monkeypatch.setattr(pool_outputs, "load_trained", broken)
    if method == "entropy":  # one call a batch, so the second is the second batch's
        monkeypatch.setattr(pool_outputs, "BATCH", 4)
    work = performed.work(step, tmp_path)
    labelled = work.labelled()
    left = [frame.id for frame in work.pool() if frame.id not in labelled]
    first = left[4] if method == "entropy" else left[0]
    words = rf"predictions of 1 images are not finite, the first of {first}; .*`{method}` of alspec"
    with pytest.raises(StepFailed, match=words):
        acquire.perform(work)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", INFINITE)
def test_features(performed: Performed, tmp_path: Path, monkeypatch: Any, value: float) -> None:
    chosen = performed.run_of("coreset").sets[1].acquire
    assert chosen
    whole = BatchOutputs.features_in_cells

    def broken(self: BatchOutputs, grid: int) -> Tensor:
        features = whole(self, grid)
        features[2, 0] = value
        return features

    monkeypatch.setattr(BatchOutputs, "features_in_cells", broken)
    work = performed.work(performed.plan.steps[chosen], tmp_path)
    labelled = work.labelled()
    third = [frame.id for frame in work.pool() if frame.id not in labelled][2]
    with pytest.raises(StepFailed, match=rf"features of 2 images .* first of {third}; .*`coreset`"):
        acquire.perform(work)
    assert list(tmp_path.iterdir()) == []
