"""Part 2, the product: images a second of training and of scoring, as its workers do them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import product
import torch
from part_notes import Notes, run_part
from speed_case import (
    CLASSES,
    Case,
    Clock,
    case_of,
    drawn,
    matrix_peak,
    peak_memory,
    rate_of_pool,
    rate_of_steps,
    reset_peak,
)
from torch.utils.flop_counter import FlopCounterMode

READERS = 8


def part(notes: Notes, options: argparse.Namespace) -> None:
    """Every row; the two trainings first."""
    case, device = case_of(options.rehearse)
    bench = Bench(case, device, options.scratch)
    with notes.attempt("peak"):
        notes.say("peak", **matrix_peak(case.matrix, device))
    for name, s4gan in (("train", None), ("train-s4gan", product.S4GAN())):
        with notes.attempt(name, needs=0 if options.rehearse else 10) as timely:
            if timely:
                bench.train(notes, name, s4gan)
    for name in ("entropy", "equal", "features", "bald"):
        with notes.attempt(name, needs=0 if options.rehearse else 6) as timely:
            if timely:
                bench.score(notes, name)
    # What exact repetition costs: the same with the algorithms that cuDNN finds quickest.
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
    for name, s4gan in (("train", None), ("train-s4gan", product.S4GAN())):
        with notes.attempt(f"{name}-benchmark", needs=0 if options.rehearse else 12) as timely:
            if timely:
                bench.train(notes, f"{name}-benchmark", s4gan, beside=name)


class Bench:
    """The product set up as in a worker process, on drawn images."""

    def __init__(self, case: Case, device: torch.device, scratch: Path) -> None:
        self.case, self.device = case, device
        worker_context = product.prepare(str(device), product.Store(scratch / ".store"))
        worker_context.readers = 0 if device.type == "cpu" else READERS
        spec = product.FolderSpec.model_validate(
            {
                "name": "drawn", "kind": "folder", "root": str(drawn(case, scratch)),
                "images": "images", "masks": "masks", "classes": CLASSES, "image_size": case.size,
                "val": {"images": "val", "masks": "val_masks"},
            }
        )  # fmt: skip
        dataset = product.Folder(spec)
        self.frames = worker_context.frames(dataset)
        self.images = [frame.id for frame in dataset.frames(product.Split.POOL)]

    def build(self, mc_dropout: bool = False) -> Any:
        """The net with random weights."""
        config = product.model_config(self.case.net, len(CLASSES))
        return product.build_segmentor(config, mc_dropout=mc_dropout)

    def _fit(self, images: int, epochs: int, s4gan: Any, progress: Callable[..., None]) -> Any:
        training = product.Training(epochs=epochs, batch_size=self.case.batch, lr=1e-3)
        return product.fit(
            self.build, self.frames, self.images[:images], self.images, training, s4gan,
            product.Seeds(1, 2, 3, 4, 5), self.device, progress,
        )  # fmt: skip

    def train(self, notes: Notes, name: str, s4gan: Any, beside: str | None = None) -> None:
        """A training through `fit`, timed between its iterations."""
        case = self.case
        reset_peak(self.device)
        clock = Clock(self.device)
        self._fit(case.images, case.epochs, s4gan, lambda done, total: clock.mark())
        notes.say(name, **rate_of_steps(clock, case), **peak_memory(self.device))
        with FlopCounterMode(display=False) as counter:
            self._fit(case.batch, 1, s4gan, lambda done, total: None)
        flops = 3 * forward_flops(counter) / case.batch / 1e9
        notes.say(name, gflops_per_image=flops, beside=beside or name)

    def score(self, notes: Notes, name: str) -> None:
        """A pass over the pool as the step `acquire` does it."""
        case, device = self.case, self.device
        model = product.folded(lambda: self.build(name == "bald").eval())
        model.to(device=device, memory_format=torch.channels_last)
        images = self.images[: 2 * case.batch] if name == "bald" else self.images
        ask, score = asked(name, case.passes)

        @torch.inference_mode()
        def work(images: Any = images) -> torch.Tensor:
            parts = []
            for _, batch in product.in_batches(self.frames, images, case.batch):
                outputs = product.outputs_of(model, batch.images, device, bfloat16=True, **ask)
                parts.append(score(outputs))
            return torch.cat(parts).cpu()

        reset_peak(device)
        notes.say(name, **rate_of_pool(work, len(images), device), **peak_memory(device))
        with FlopCounterMode(display=False) as counter:
            work(self.images[: case.batch])
        notes.say(name, gflops_per_image=counter.get_total_flops() / case.batch / 1e9)


def forward_flops(counter: FlopCounterMode) -> int:
    """Of the forward passes alone; a training takes three times that.

    torch counts the backward pass of a depthwise convolution as if it were dense.
    """
    counts = counter.get_flop_counts()["Global"]
    return sum(count for operation, count in counts.items() if "backward" not in str(operation))


def asked(name: str, passes: int) -> tuple[dict[str, Any], Callable[[Any], torch.Tensor]]:
    """What is asked of the outputs, and what is made of them."""
    if name == "features":
        return {}, lambda outputs: outputs.features_BD
    kind = product.plugins.load("alspec.acquisition", name)
    params = {"passes": passes} if name == "bald" else {}
    function = kind(kind.Params.model_validate(params))
    ask = {"bald": {"passes": passes}, "equal": {"mirror": True}}.get(name, {})
    return ask, function.score


if __name__ == "__main__":
    run_part(part)
