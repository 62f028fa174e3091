"""One training in several processes: that of one process, repeatable, and ended together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from factories.images import MadeImages, frames_of, ids
from fakes import gradients_of_ranks
from fakes.forked_ranks import together
from torch import nn

from alspec.models.input.batches import Augmentation, Batches, Order, PixelSource, Share
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.ranks import ALONE, Ranks
from alspec.models.training.checkpoint import Checkpoints
from alspec.models.training.fit import Seeds, fit
from alspec.models.training.parallel import foreign_norms
from alspec.models.training.resume import CheckpointPolicy
from alspec.spec.model import S4GAN, Training

pytestmark = pytest.mark.usefixtures("small_discriminator")

CPU = torch.device("cpu")
TRAINING = Training(epochs=2, batch_size=4, lr=0.01, crop=(24, 40))
S4 = S4GAN(threshold=0.4)
ITERATIONS = 4


def nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


def trained(
    ranks: Ranks,
    s4gan: S4GAN | None = None,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = nothing,
    stop: Event | None = None,
    training: Training = TRAINING,
) -> dict[str, Any]:
    """The weights and the log of a training, as plain data and tensors."""

    def build() -> nn.Module:
        return build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=True)

    policy = None
    if folder:
        policy = CheckpointPolicy(Checkpoints(folder), iterations=1, stop=stop or Event())
    done = fit(
        build, frames_of(), ids(8), ids(6, 10), training, s4gan, Seeds(1, 2, 3, 4, 5), CPU,
        progress, policy, ranks=ranks,
    )  # fmt: skip
    return {
        "weights": dict(done.segmentor.state_dict()),
        "log": [dict(epoch) for epoch in done.epochs],
    }


def same(first: Any, second: Any) -> bool:
    one, other = first["weights"], second["weights"]
    equal = all(torch.equal(one[name], other[name]) for name in one)
    return equal and one.keys() == other.keys() and first["log"] == second["log"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.mark.parametrize("size", [(32, 48), None])
def test_the_shares_of_a_batch_are_its_pixels(size: tuple[int, int] | None) -> None:
    frames = PixelSource(MadeImages(), size)  # type: ignore[arg-type]
    order = Order(tuple(ids(5)), 6, seed=3)
    augmentation = Augmentation((20, 30), (0.6, 1.4), flip=True, colour=True)
    whole = Batches(frames, order, augmentation, labelled=True)
    shares = [
        Batches(frames, order, augmentation, labelled=True, share=Share(part, 3))
        for part in range(3)
    ]
    for number in range(3):
        parts = [share[number] for share in shares]
        assert torch.equal(torch.cat([p.images for p in parts]), whole[number].images)
        assert torch.equal(torch.cat([p.labels for p in parts]), whole[number].labels)
        assert torch.equal(torch.cat([p.colours for p in parts]), whole[number].colours)
    read = [wanted for share in shares for wanted in share.wanted(0)]
    assert sorted(read) == sorted(whole.wanted(0))


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `fakes.gradients_of_ranks` finds in two processes."""
    file = tmp_path_factory.mktemp("gradients") / "found.pt"
    command = [sys.executable, "-m", "fakes.gradients_of_ranks", str(file)]
    subprocess.run(command, check=True, cwd=Path(gradients_of_ranks.__file__).parents[1])
    found: dict[str, Any] = torch.load(file, weights_only=True)
    return found


def test_a_shared_batch_norm_is_one_over_the_whole_batch(of_two: dict[str, Any]) -> None:
    answers = of_two["norm"]
    theirs = gradients_of_ranks.through(gradients_of_ranks.plain_norm(), slice(0, 6))
    for place in range(3):
        joined = torch.cat([answer[place] for answer in answers])
        torch.testing.assert_close(joined, theirs[place], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(answers[0][3] + answers[1][3], theirs[3], rtol=1e-5, atol=1e-5)


def test_losses_of_s4gan_and_their_gradients_are_those_of_the_whole_batch(
    of_two: dict[str, Any],
) -> None:
    answers = of_two["losses"]
    whole = gradients_of_ranks.losses(ALONE)
    for answer in answers:
        torch.testing.assert_close(answer[:2], whole[:2])
    for place in (2, 3):
        joined = torch.cat([answer[place] for answer in answers])
        torch.testing.assert_close(joined, whole[place])


@pytest.mark.slow
@pytest.mark.parametrize("s4gan", [None, S4, S4GAN(feature_matching=0, self_training=0)])
def test_a_training_of_two_processes_is_that_of_one_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch, s4gan: S4GAN | None
) -> None:
    # Each process draws its own masks of dropout layers.
    monkeypatch.setattr(nn.Dropout2d, "forward", lambda self, maps: maps)
    one = trained(ALONE, s4gan)
    answers = together(2, lambda ranks: trained(ranks, s4gan))
    assert same(*answers)
    assert len(answers[0]["log"]) == len(one["log"])
    for ours, theirs in zip(answers[0]["log"], one["log"], strict=True):
        assert ours.keys() == theirs.keys()
        for name in theirs.keys() - {"decode.acc_seg"}:  # the mean of two shares of pixels
            assert ours[name] == pytest.approx(theirs[name], rel=2e-4, abs=1e-6), name
    trajectory = [epoch["loss"] for epoch in one["log"]]
    assert np.ptp(trajectory) > 0.01, "the training moved"


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("s4gan", [None, S4])
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, s4gan: S4GAN | None, count: int
) -> None:
    whole = together(count, lambda ranks: trained(ranks, s4gan))
    assert all(same(whole[0], answer) for answer in whole)

    def killed(ranks: Ranks) -> Any:
        def progress(done: int, total: int) -> None:
            if done == 3 and ranks.rank == count - 1:
                os.kill(os.getpid(), 9)

        return trained(ranks, s4gan, tmp_path, progress)

    answers = together(count, killed)
    assert answers[-1] is None
    assert all("RankLost" in answer for answer in answers[:-1]), "nobody waits for the dead"
    told: list[int] = []

    def resumed(ranks: Ranks) -> Any:
        torch.manual_seed(99)
        told.clear()
        done = trained(ranks, s4gan, tmp_path, lambda done, total: told.append(done))
        return {**done, "told": list(told)}

    answers = together(count, resumed)
    assert answers[0]["told"] == [3, 4]
    assert all(same(whole[0], answer) for answer in answers)


@pytest.mark.slow
def test_all_stop_after_one_iteration_when_one_is_asked_to(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> Any:
        stop = Event()

        def progress(done: int, total: int) -> None:
            if done == 2 and ranks.rank == 1:
                stop.set()

        return trained(ranks, None, tmp_path, progress, stop)

    answers = together(2, work)
    assert all("Interrupted: stopped after iteration 2" in answer for answer in answers)
    assert [path.name[:10] for path in sorted(tmp_path.iterdir())][-1] == "0000000002"


@pytest.mark.slow
def test_a_diverging_training_says_so_in_all(tmp_path: Path) -> None:
    wild = TRAINING.model_copy(update={"lr": 1e30})
    answers = together(2, lambda ranks: trained(ranks, training=wild))
    assert all("StepFailed: training diverged" in answer for answer in answers)


def test_what_the_first_has_comes_to_all() -> None:
    def work(ranks: Ranks) -> Any:
        own = bytes([ranks.rank]) * 3 if ranks.rank == 0 else b""
        return {
            "bytes": ranks.of_first(own).hex(),
            "empty": ranks.of_first(b"").hex(),
            "highest": ranks.highest(ranks.rank),
            "stacked": ranks.stacked(torch.tensor([ranks.rank])),
        }

    for answer in together(3, work):
        assert answer["bytes"] == "000000"
        assert answer["empty"] == ""
        assert answer["highest"] == 2
        assert answer["stacked"].tolist() == [[0], [1], [2]]


def test_a_batch_norm_of_another_kind_is_named() -> None:
    class Own(nn.BatchNorm2d):
        """Does something else than torch's."""

    assert list(foreign_norms(nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)))) == []
    (found,) = foreign_norms(nn.Sequential(Own(2)))
    assert found.endswith("Own")
