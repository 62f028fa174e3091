"""Several processes of one training, forked from this one, so that torch is loaded once."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from alspec.models.ranks import Ranks, joined

CPU = torch.device("cpu")


def together(count: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What some work gives in each process of a group: tensors and plain data, or an exception.

    An exception comes back as the text `Kind: message`; a process that was killed as None.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        forks = [_fork(rank, count, folder, work) for rank in range(count)]
        for fork in forks:
            os.waitpid(fork, 0)
        answers = [folder / f"{rank}.pt" for rank in range(count)]
        return [torch.load(path, weights_only=True) if path.exists() else None for path in answers]


def _fork(rank: int, count: int, folder: Path, work: Callable[[Ranks], Any]) -> int:
    fork = os.fork()
    if fork:
        return fork
    try:
        torch.set_num_threads(1)
        try:
            with joined(rank, count, folder / "meeting", CPU) as ranks:
                answer = work(ranks)
        except Exception as err:  # noqa: BLE001 - it is the answer
            traceback.print_exc()
            answer = f"{type(err).__name__}: {err}"
        torch.save(answer, folder / f"{rank}.part")
        (folder / f"{rank}.part").rename(folder / f"{rank}.pt")
    finally:
        sys.stderr.flush()
        os._exit(0)
