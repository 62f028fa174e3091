"""Says when a precision that the spec asks for is slow on this machine's processor."""

from __future__ import annotations

import platform
from pathlib import Path

from alspec.spec.model import Training

CPUINFO = Path("/proc/cpuinfo")
_QUICK = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of processors that compute in bfloat16: Intel's and AMD's, Arm's."""


def note_on_precision(training: Training, *, processor: bool = True) -> str | None:
    """A sentence about bfloat16 on a processor without it; None where there is nothing to say.

    Args:
        training: the study's.
        processor: trainings may run on a processor.
    """
    if training.precision != "bfloat16" or not processor or computes_in_bfloat16() is not False:
        return None
    return (
        "training.precision is bfloat16, which this processor has no instructions for: about 8 "
        "times slower than float32. `auto` takes bfloat16 on GPUs alone"
    )


def computes_in_bfloat16() -> bool | None:
    """Whether the processor has instructions for bfloat16; None where it does not say."""
    if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
        return None
    try:
        text = CPUINFO.read_text("utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not _QUICK.isdisjoint(flags.split())
    return None
