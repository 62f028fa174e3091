"""What holds on a CPU holds on a GPU: numbers within rounding, bits after a kill, errors told.

`pytest -m gpu`; without CUDA all are skipped. ALSPEC_GPU_REHEARSAL=1 runs them on the CPU.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import product
import pytest
import torch
from factories import images as made_images
from factories.images import frames_of, ids
from factories.performed_steps import Performed, study
from torch import Tensor
from torch.nn import functional as F

from alspec.plan.expand import expand

REHEARSED = bool(os.environ.get("ALSPEC_GPU_REHEARSAL"))
DEVICE = torch.device("cpu" if REHEARSED else "cuda:0")
CUDA = DEVICE.type == "cuda"
NETS = ("deeplabv3plus_tiny", *([] if REHEARSED else ["deeplabv3plus_wrn38"]))
LOGITS = {torch.float32: 1e-3, torch.float64: 1e-7}
"""Largest difference of logits, as a share of the largest logit."""
GRADIENTS = {torch.float32: 1e-1, torch.float64: 1e-6}
"""Norm of the gradients' difference, as a share of their norm. On a CPU WRN-38's in float32
are 2e-2 away from those in float64: batch norm divides by deviations that rounding decides."""
EPOCHS = 10 if REHEARSED else 40
"""Of the training whose worker is killed; 3 iterations make 2 of them."""
HALF = 5e-2
"""Norm of the difference of bfloat16's logits from float32's, as a share of their norm."""

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not (REHEARSED or torch.cuda.is_available()), reason="needs a CUDA device; torch sees none"
    ),
]


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    """The settings of a worker, float32 that is float32, and no work left on the device."""
    product.prepare(str(DEVICE))
    if CUDA:
        product.repeat_exactly(torch.nn.Identity())  # as `fit` has it
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_num_threads(1 if REHEARSED else 8)
    yield
    torch.set_num_threads(1)
    if CUDA:
        torch.cuda.empty_cache()


def noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def net(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    config = product.model_config(name, 3)
    return product.build_segmentor(config, mc_dropout=False, **options)


def relative(one: Tensor, other: Tensor) -> float:
    return float((one.double().cpu() - other.double()).norm() / other.double().norm())


def loss_and_gradients(model: Any, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Logits, loss and all gradients in one vector, of a training step."""
    model = model.to(device, dtype).train()
    for layer in model.modules():  # another device draws other numbers
        if isinstance(layer, torch.nn.modules.dropout._DropoutNd):
            layer.p = 0.0
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)
    size = (64, 128)
    labels = torch.randint(0, 3, (2, *size), generator=torch.Generator().manual_seed(1))
    logits = model(noise((2, 3, *size)).to(device, dtype), mode="tensor")
    upsampled = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    loss = F.cross_entropy(upsampled, labels.to(device), reduction="none").mean()
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return [logits.detach().cpu(), loss.detach().cpu(), torch.cat(gradients).cpu()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETS)
def test_forward_and_gradients_are_those_of_the_cpu(name: str, dtype: torch.dtype) -> None:
    expected = loss_and_gradients(net(name), torch.device("cpu"), dtype)
    logits, loss, gradients = loss_and_gradients(net(name), DEVICE, dtype)
    assert (logits - expected[0]).abs().max() <= LOGITS[dtype] * expected[0].abs().max()
    assert abs(float(loss - expected[1])) <= LOGITS[dtype] * abs(float(expected[1]))
    assert relative(gradients, expected[2]) <= GRADIENTS[dtype]


@pytest.mark.parametrize("name", NETS)
def test_bfloat16_stays_near_float32(name: str) -> None:
    images = made_images.images(2, (64, 128))
    with torch.inference_mode():
        expected = product.outputs_of(net(name).eval(), images, torch.device("cpu")).logits_BCHW
        model = net(name).eval().to(DEVICE, memory_format=torch.channels_last)
        found = product.outputs_of(model, images, DEVICE, bfloat16=True).logits_BCHW
    assert relative(found, expected) <= HALF


def of_bilinear() -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    size = (64, 128)
    return lambda x: F.interpolate(x.float(), size=size, mode="bilinear"), (4, 19, 16, 32)


def of_cross_entropy() -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    labels = torch.randint(0, 19, (4, 64, 128), generator=torch.Generator().manual_seed(1))
    labels = labels.to(DEVICE)
    return lambda x: F.cross_entropy(x, labels, reduction="none"), (4, 19, 64, 128)


def of_convolution() -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(64, 64, 3, padding=12, dilation=12).to(DEVICE)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda x: layer(x.contiguous(memory_format=torch.channels_last)), (4, 64, 32, 64)


def of_depthwise() -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(64, 64, 3, padding=12, dilation=12, groups=64).to(DEVICE)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda x: layer(x.contiguous(memory_format=torch.channels_last)), (4, 64, 32, 64)


def of_pooling() -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    return lambda x: F.adaptive_avg_pool2d(x, 1), (4, 64, 32, 64)


def of_max_pooling() -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    layer = torch.nn.MaxPool2d(3, 2, 1)
    if CUDA:
        product.repeat_exactly(layer)
    return lambda x: layer(x.contiguous(memory_format=torch.channels_last)), (4, 64, 33, 65)


OPERATIONS = (
    of_bilinear,
    of_max_pooling,
    of_cross_entropy,
    of_convolution,
    of_depthwise,
    of_pooling,
)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_gives_the_same_bits_twice(operation: Any, bfloat16: bool) -> None:
    """Which operation it is, where a training does not repeat itself."""
    function, shape = operation()
    seen = []
    for _ in range(4):
        inputs = noise(shape).to(DEVICE).requires_grad_()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bfloat16):
            output = function(inputs)
        output.backward(noise(tuple(output.shape), 2).to(DEVICE, output.dtype))
        assert inputs.grad is not None
        seen.append((output.detach().cpu(), inputs.grad.cpu()))
    assert all(torch.equal(seen[0][0], output) for output, _ in seen), "forward"
    assert all(torch.equal(seen[0][1], gradient) for _, gradient in seen), "backward"


KINDS = {
    "supervised": (False, None),
    "mc_dropout": (True, None),
    "s4gan": (True, product.S4GAN(threshold=0.4)),
}


class Killed(Exception):
    """Stands for the end of the process."""


def trained(kind: str, folder: Path | None = None, kill_at: int = 0) -> dict[str, Tensor]:
    """Weights after 8 iterations, in the precision that `auto` means here."""
    dropout, s4gan = KINDS[kind]

    def build() -> Any:
        config = product.model_config("deeplabv3plus_tiny", 3)
        return product.build_segmentor(config, mc_dropout=dropout)

    def progress(done: int, total: int) -> None:
        if done == kill_at:
            raise Killed

    keeping = (
        product.CheckpointPolicy(product.Checkpoints(folder), iterations=3) if folder else None
    )
    training = product.Training(epochs=4, batch_size=2, lr=0.02, crop=(24, 40))
    done = product.fit(
        build, frames_of(), ids(4), ids(3, 10), training, s4gan,
        product.Seeds(1, 2, 3, 4, 5), DEVICE, progress, keeping,
    )  # fmt: skip
    return {name: tensor.cpu() for name, tensor in done.segmentor.state_dict().items()}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize("kind", KINDS)
def test_two_trainings_end_in_the_same_bits(kind: str) -> None:
    assert differing(trained(kind), trained(kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_broke_off_goes_on_to_the_same_bits(tmp_path: Path, kind: str) -> None:
    with pytest.raises(Killed):
        trained(kind, tmp_path, kill_at=6)
    torch.manual_seed(99)
    assert differing(trained(kind, tmp_path), trained(kind)) == []


def test_images_on_the_device_are_the_same_bytes() -> None:
    order = product.Order(tuple(ids(6)), 4, 0)
    augmentation = product.Augmentation((24, 40), None, flip=True)
    batches = product.Batches(frames_of(), order, augmentation, labelled=True)
    resident = product.ResidentBatches(batches, DEVICE)
    for number in range(4):
        there, here = resident[number], batches[number]
        assert torch.equal(there.images.cpu(), here.images)
        assert torch.equal(there.labels.cpu(), here.labels)


@pytest.mark.parametrize("name", ["entropy", "equal"])
def test_scores_and_picks_are_those_of_the_cpu(name: str) -> None:
    kind = product.plugins.load("alspec.acquisition", name)
    function, images = kind(kind.Params()), made_images.images(12)

    def scores(device: torch.device) -> Tensor:
        with torch.inference_mode():
            model = product.folded(made_images.tiny).to(device, memory_format=torch.channels_last)
            outputs = product.outputs_of(model, images, device, mirror=name == "equal")
            return function.score(outputs).double().cpu()

    here, there = scores(torch.device("cpu")), scores(DEVICE)
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-6)
    ranked = here.sort(descending=True)
    gaps = ranked.values[:-1] - ranked.values[1:]
    n = int(gaps[:8].argmax()) + 1  # where rounding cannot turn two images round
    assert set(there.topk(n).indices.tolist()) == set(ranked.indices[:n].tolist())


def test_bald_on_the_device_is_a_mutual_information() -> None:
    kind = product.plugins.load("alspec.acquisition", "bald")
    function = kind(kind.Params.model_validate({"passes": 8}))
    images = made_images.images(6)

    def scores(seed: int) -> Tensor:
        with torch.inference_mode():
            model = made_images.tiny(mc_dropout=True).to(DEVICE, memory_format=torch.channels_last)
            outputs = product.outputs_of(model, images, DEVICE, passes=8, generator_seed=seed)
            return function.score(outputs).cpu()

    assert torch.equal(scores(1), scores(1))
    assert not torch.equal(scores(1), scores(2))
    assert (scores(1) >= -1e-6).all()
    assert (scores(1) <= 1.0987).all()  # log 3


def test_features_and_coreset_are_those_of_the_cpu() -> None:
    images = made_images.images(12)

    def features(device: torch.device) -> Tensor:
        with torch.inference_mode():
            model = product.folded(made_images.tiny).to(device, memory_format=torch.channels_last)
            return product.outputs_of(model, images, device).features_BD

    here, there = features(torch.device("cpu")), features(DEVICE)
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-4)
    picks = product.k_center(there, there[:2], 5)
    assert picks.device == there.device
    assert picks.tolist() == product.k_center(there.cpu(), there[:2].cpu(), 5).tolist()


@contextmanager
def worker(store: Any, log: Path, **environment: str) -> Iterator[Any]:
    """A worker process on the device, as the local executor starts it."""
    command = [sys.executable, "-m", product.WORKER, "--store", str(store.root)]
    with log.open("a") as file:
        process = subprocess.Popen(
            [*command, "--device", str(DEVICE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def told(process: Any, key: str) -> Iterator[Any]:
    """Hand over a step; what the worker says of it."""
    process.stdin.write(f"{key}\n")
    process.stdin.flush()
    for line in process.stdout:
        yield json.loads(line)


def end_of(process: Any, key: str) -> Any:
    return next(one for one in told(process, key) if one["event"] in ("done", "failed"))


def before_training(root: Path, **training: Any) -> tuple[Any, Any]:
    """A store with everything that the first training of a study needs, and that step."""
    settings = {"epochs": 2, "batch_size": 2, "lr": 0.05, **training}
    changes = {"datasets": [training.pop("dataset")]} if "dataset" in training else {}
    settings.pop("dataset", None)
    plan = expand(study(methods=["random"], baselines=[], training=settings, **changes))
    performed = Performed(root, plan)
    step = plan.steps[plan.runs[0].sets[0].train]
    for key in step.inputs.values():
        performed.perform(plan.steps[key])
    performed.store.write_recipe(step.to_json())
    return performed.store, step


def test_a_training_whose_worker_is_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, step = before_training(tmp_path / "whole", epochs=EPOCHS)
    log = tmp_path / "log"
    with worker(whole, log) as process:
        assert end_of(process, step.key)["event"] == "done", log.read_text()
    store, _ = before_training(tmp_path / "killed", epochs=EPOCHS)
    often = {product.KEEP_ITERATIONS: "3"}
    with worker(store, log, **often) as process:
        for one in told(process, step.key):
            if store.checkpoints(step.key).is_dir() and any(
                store.checkpoints(step.key).glob("*.safetensors")
            ):
                break
            assert one["event"] != "failed", one
    killed_at = sorted(path.name for path in store.checkpoints(step.key).iterdir())
    with worker(store, log, **often) as process:
        assert end_of(process, step.key)["event"] == "done", log.read_text()
    made, expected = (one.artifacts(step.key)["weights.safetensors"] for one in (store, whole))
    assert killed_at, "the kill came after the end"
    assert made == expected


def test_memory_that_runs_out_is_told_and_the_worker_lives_on(tmp_path: Path) -> None:
    dataset = {
        "name": "street", "kind": "toy", "image_size": (32, 32) if REHEARSED else (512, 512),
        "sequences": 1, "frames": 8, "val_sequences": 1, "val_frames": 1,
    }  # fmt: skip
    store, step = before_training(
        tmp_path / "store", dataset=dataset, epochs=60, batch_size=8 if REHEARSED else 64
    )
    with worker(store, tmp_path / "log") as process:
        assert json.loads(process.stdout.readline())["event"] == "ready"
        held = all_but(2 << 30)
        end = end_of(process, step.key)
        if CUDA:
            assert end["event"] == "failed", end
            assert "memory" in end["message"], end
            assert "training.batch_size" in end["message"], end
        del held
        if CUDA:
            torch.cuda.empty_cache()
            assert end_of(process, step.key)["event"] == "done"
            assert "out of memory" in (tmp_path / "log").read_text()


def all_but(free_bytes: int) -> list[Tensor]:
    """Tensors that leave so much of the device's memory free."""
    if not CUDA:
        return []
    time.sleep(1)  # the worker's own context comes first
    free, _ = torch.cuda.mem_get_info(DEVICE)
    return [torch.empty(max(0, free - free_bytes), dtype=torch.uint8, device=DEVICE)]


def test_a_whole_study_runs_on_the_device(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(
        json.dumps(study(methods=["random", "entropy", "coreset"]).model_dump(mode="json"))
    )
    device = "cpu:1" if REHEARSED else "cuda:0"
    command = [sys.executable, "-m", "alspec", "run", str(spec), "--devices", device]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = (tmp_path / "work_dirs/steps/results.csv").read_text().splitlines()
    columns = results[0].split(",")
    devices = {line.split(",")[columns.index("device")] for line in results[1:]}
    assert len(results) == 1 + 3 * 2 + 1  # two labelled sets a method, and Full
    assert all(("cpu" in name) == REHEARSED for name in devices), devices
