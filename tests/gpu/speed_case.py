"""What the measurements of speed share: the net, the drawn images on disk, and the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from product import view

CLASSES = tuple(f"class{number}" for number in range(19))


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        net: name of a built-in model.
        size: height, width of the images.
        batch: images a step.
        images: on disk; the labelled set, and the pool that is scored.
        epochs: of a training; the first is not counted.
        passes: of BALD.
        matrix: rows of the square matrices whose product gives the peak.
    """

    net: str
    size: tuple[int, int]
    batch: int
    images: int
    epochs: int
    passes: int
    matrix: int

    @property
    def warm(self) -> int:
        """Iterations of the first epoch."""
        return self.images // self.batch


PAPER = Case("deeplabv3plus_wrn38", (256, 512), 8, 96, 4, 20, 8192)
TOY = Case("deeplabv3plus_tiny", (32, 64), 2, 4, 3, 2, 128)


def case_of(rehearse: bool) -> tuple[Case, torch.device]:
    """The case and where it is measured."""
    return (TOY, torch.device("cpu")) if rehearse else (PAPER, torch.device("cuda:0"))


def drawn(case: Case, scratch: Path) -> Path:
    """A tree of PNG frames and masks, with the noise of a camera; drawn once a scratch folder."""
    root = scratch / "drawn"
    if (root / "whole").exists():
        return root
    rng = np.random.default_rng(0)
    for folder in ("images", "masks", "val", "val_masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(case.images + 1):
        image, mask = view(0, 0, 0, number, case.size)
        photo = np.clip(image + rng.normal(0, 4, case.size)[..., None], 0, 255).astype(np.uint8)
        images, masks = ("images", "masks") if number < case.images else ("val", "val_masks")
        Image.fromarray(photo).save(root / images / f"{number:03d}.png", compress_level=1)
        Image.fromarray(mask).save(root / masks / f"{number:03d}.png", compress_level=1)
    (root / "whole").touch()
    return root


class Clock:
    """Moments on the device's own clock; noting one does not wait for the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Note that everything up to here was asked for."""
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def intervals(self) -> list[float]:
        """Seconds between neighbouring marks; waits for the device."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        if self._device.type == "cuda":
            torch.cuda.synchronize()
            return [first.elapsed_time(second) / 1e3 for first, second in pairs]
        return [second - first for first, second in pairs]


def reset_peak(device: torch.device) -> None:
    """Begin to measure peak memory anew, with nothing held."""
    if device.type == "cuda":
        import gc

        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: torch.device) -> dict[str, float]:
    """Gibibytes at the highest, of tensors and of what the allocator held for them."""
    if device.type != "cuda":
        return {}
    return {
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30,
        "peak_reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
    }


def rate_of_steps(clock: Clock, case: Case) -> dict[str, Any]:
    """Figures of a training's steps after the first epoch."""
    steps = clock.intervals()[case.warm - 1 :]
    return {
        "images_per_second": case.batch / statistics.median(steps),
        "mean_images_per_second": case.batch / statistics.fmean(steps),
        "milliseconds": 1e3 * statistics.median(steps),
        "slowest_milliseconds": 1e3 * max(steps),
        "steps": len(steps),
    }


def rate_of_pool(
    work: Callable[[], object], images: int, device: torch.device, rounds: int = 3
) -> dict[str, Any]:
    """Figures of a whole pass over some images, the median of some rounds after a first one."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return {
        "images_per_second": images / statistics.median(times[1:]),
        "first_images_per_second": images / times[0],
        "images": images,
    }


def matrix_peak(side: int, device: torch.device) -> dict[str, Any]:
    """Tera operations a second of a square bfloat16 matrix product, median of 15."""
    made = torch.Generator(device=device).manual_seed(0)
    first, second = (
        torch.randn((side, side), generator=made, device=device, dtype=torch.bfloat16)
        for _ in range(2)
    )
    for _ in range(5):
        first @ second
    clock = Clock(device)
    clock.mark()
    for _ in range(15):
        first @ second
        clock.mark()
    seconds: Sequence[float] = clock.intervals()
    return {"tflops": 2 * side**3 / statistics.median(seconds) / 1e12, "side": side}
