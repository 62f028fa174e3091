"""Training through torch.compile: the same training within rounding, or an error that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from factories.images import frames_of, ids, tiny
from torch import nn

from alspec.errors import StepFailed
from alspec.models.training.checkpoint import Checkpoints
from alspec.models.training.compile import compiling
from alspec.models.training.fit import Seeds, Trained, fit
from alspec.models.training.resume import CheckpointPolicy
from alspec.spec.model import S4GAN, Training

CPU = torch.device("cpu")


class Killed(Exception):
    """In place of a signal."""


def trained(
    *,
    compiled: bool,
    s4gan: S4GAN | None = None,
    policy: CheckpointPolicy | None = None,
    until: int = 99,
) -> Trained:
    def progress(done: int, _total: int) -> None:
        if done == until:
            raise Killed

    training = Training(epochs=2, batch_size=2, lr=1e-3, compile=compiled)
    seeds = Seeds(0, 1, 2, 3, 4)
    pools = (ids(4), ids(4, 4))
    return fit(tiny, frames_of(), *pools, training, s4gan, seeds, CPU, progress, policy)


def weights(done: Trained) -> dict[str, Any]:
    return done.segmentor.state_dict()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of tensors that it looks at while it compiles
@pytest.mark.parametrize("s4gan", [None, S4GAN()])
def test_it_is_the_same_training_within_rounding_and_goes_on_from_a_checkpoint_to_the_bit(
    s4gan: S4GAN | None, tmp_path: Path
) -> None:
    plain, quick = (weights(trained(compiled=compiled, s4gan=s4gan)) for compiled in (False, True))
    assert plain.keys() == quick.keys()
    assert any(not torch.equal(plain[name], quick[name]) for name in plain), "was it compiled?"
    for name, tensor in plain.items():
        torch.testing.assert_close(quick[name], tensor, rtol=1e-2, atol=1e-4, msg=name)
    policy = CheckpointPolicy(Checkpoints(tmp_path), iterations=2)
    with pytest.raises(Killed):
        trained(compiled=True, s4gan=s4gan, policy=policy, until=3)
    resumed = weights(trained(compiled=True, s4gan=s4gan, policy=policy))
    assert all(torch.equal(resumed[name], quick[name]) for name in quick)


def test_what_cannot_be_compiled_fails_the_step_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_graph: Any, _inputs: Any) -> Any:
        raise OSError("no compiler here")

    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **kw: compile_with(f, backend=broken, **kw))
    with pytest.raises(StepFailed, match=r"no compiler here.*training\.compile"):
        trained(compiled=True)


def test_nothing_is_compiled_where_it_is_not_wanted() -> None:
    model: nn.Module = tiny()
    with compiling(model, wanted=False):
        assert all("forward" not in vars(module) for module in model.modules())
