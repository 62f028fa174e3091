"""A training that is stopped anywhere and goes on ends in the bits of one that is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from factories.images import frames_of, ids
from torch import nn

from alspec.errors import Interrupted, StepFailed
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.training import hooks
from alspec.models.training.checkpoint import Checkpoints
from alspec.models.training.fit import Seeds, Trained, fit
from alspec.models.training.resume import CheckpointPolicy
from alspec.spec.model import S4GAN, Training

pytestmark = pytest.mark.usefixtures("small_discriminator")

CPU = torch.device("cpu")
SEEDS = Seeds(1, 2, 3, 4, 5)
EIGHT = Training(epochs=4, batch_size=2, lr=0.02, crop=(24, 40))
KINDS = {
    "supervised": (False, None),
    "mc_dropout": (True, None),
    "s4gan": (True, S4GAN(threshold=0.4)),
}


class Killed(Exception):
    """Stands for the end of the process."""


def nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


def killed_at(iteration: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == iteration:
            raise Killed

    return progress


def trained(
    kind: str,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = nothing,
    *,
    every: int = 1,
    training: Training = EIGHT,
    loader_workers: int = 0,
    stop: Event | None = None,
) -> Trained:
    dropout, s4gan = KINDS[kind]

    def build() -> nn.Module:
        return build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=dropout)

    policy = None
    if folder:
        policy = CheckpointPolicy(Checkpoints(folder), iterations=every, stop=stop or Event())
    return fit(
        build, frames_of(), ids(4), ids(3, 10), training, s4gan, SEEDS, CPU, progress, policy,
        loader_workers,
    )  # fmt: skip


def same(first: Trained, second: Trained) -> bool:
    one, other = first.segmentor.state_dict(), second.segmentor.state_dict()
    equal = all(torch.equal(one[name], other[name]) for name in one)
    return equal and one.keys() == other.keys() and first.epochs == second.epochs


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def whole() -> Callable[[str], Trained]:
    kept: dict[str, Trained] = {}

    def made(kind: str) -> Trained:
        if kind not in kept:
            kept[kind] = trained(kind)
        return kept[kind]

    return made


def first_iteration(kind: str, folder: Path, whole: Trained) -> int:
    """Where a training goes on; it must end in the bits of the whole one."""
    told: list[int] = []
    torch.manual_seed(99)
    assert same(trained(kind, folder, lambda done, total: told.append(done)), whole)
    assert told == list(range(told[0], 9))
    return told[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("every", "killed", "goes_on"), [(1, 2, 2), (1, 8, 8), (3, 6, 4)])
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, whole: Any, kind: str, every: int, killed: int, goes_on: int
) -> None:
    with pytest.raises(Killed):
        trained(kind, tmp_path, killed_at(killed), every=every)
    assert first_iteration(kind, tmp_path, whole(kind)) == goes_on


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_killed_again_and_again_gets_there(
    tmp_path: Path, whole: Any, kind: str
) -> None:
    for iteration in (1, 2, 3, 5, 7):
        with pytest.raises(Killed):
            trained(kind, tmp_path, killed_at(iteration))
        assert len(list(tmp_path.iterdir())) == min(iteration - 1, 2)
    assert first_iteration(kind, tmp_path, whole(kind)) == 7


def test_a_training_asked_to_stop_is_kept_first(tmp_path: Path, whole: Any) -> None:
    stop = Event()
    stop_at_four = lambda done, total: stop.set() if done == 4 else None  # noqa: E731
    with pytest.raises(Interrupted, match="iteration 4"):
        trained("s4gan", tmp_path, stop_at_four, every=100, stop=stop)
    assert first_iteration("s4gan", tmp_path, whole("s4gan")) == 5


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)


def flip_in_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 4
    path.write_bytes(data)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def rename(path: Path) -> None:
    path.rename(path.with_name("9999999999-abc.safetensors"))


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


DAMAGES = (cut, flip, flip_in_header, zero, empty, make_folder, rename, dangle)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a training killed in its seventh iteration: after the fifth and sixth."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Killed):
        trained("mc_dropout", folder, killed_at(7))
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_older_one(
    tmp_path: Path, stopped: Path, whole: Any, damage: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(stopped, tmp_path / "copy")
    damage(max(folder.iterdir()))
    assert first_iteration("mc_dropout", folder, whole("mc_dropout")) == 6


def test_two_damaged_checkpoints_give_way_to_a_fresh_start(
    tmp_path: Path, stopped: Path, whole: Any
) -> None:
    folder = shutil.copytree(stopped, tmp_path / "copy")
    for path in folder.iterdir():
        flip(path)
    (folder / ".half-written").write_bytes(b"1")
    assert first_iteration("mc_dropout", folder, whole("mc_dropout")) == 1
    assert len(list(folder.iterdir())) == 2


def test_a_checkpoint_of_another_model_or_machine_is_not_gone_on_from(
    stopped: Path, tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(stopped, tmp_path / "copy")
    assert first_iteration("s4gan", folder, whole("s4gan")) == 1
    folder = shutil.copytree(stopped, tmp_path / "again")
    monkeypatch.setattr("torch.__version__", "0.0")
    assert first_iteration("mc_dropout", folder, whole("mc_dropout")) == 1


def test_a_checkpoint_that_cannot_be_written_does_not_stop_the_training(
    tmp_path: Path, whole: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert same(trained("mc_dropout", tmp_path / "file/below"), whole("mc_dropout"))
    assert "no checkpoint at iteration 1, the training continues" in capsys.readouterr().err


@pytest.mark.parametrize("loader_workers", [1, 2])
def test_bits_do_not_depend_on_loader_workers(
    tmp_path: Path, whole: Any, loader_workers: int
) -> None:
    assert same(trained("s4gan", loader_workers=loader_workers), whole("s4gan"))
    with pytest.raises(Killed):
        trained("mc_dropout", tmp_path, killed_at(5), loader_workers=loader_workers)
    assert first_iteration("mc_dropout", tmp_path, whole("mc_dropout")) == 5


def test_a_loss_that_is_not_finite_is_noticed_before_the_epoch_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "FINITE_EVERY", 4)
    told: list[int] = []
    log = hooks.TrainingLog(1000, 1, lambda done, total: told.append(done))
    runner = SimpleNamespace(max_iters=100)

    def iterate(number: int, loss_b: float) -> None:
        losses = {"loss_a": torch.tensor(1.0), "loss_b": torch.tensor(loss_b)}
        log.after_train_iter(runner, number, None, losses)

    for number in range(7):
        iterate(number, float("inf") if number == 5 else 1.0)
    with pytest.raises(StepFailed, match=r"loss_b not finite from iteration 6 on.*training\.lr"):
        iterate(7, 1.0)
    assert told[-1] == 8
