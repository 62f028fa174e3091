"""The processes of one training, a device each, and what they tell one another.

A process group of torch: gloo between processors, NCCL between GPUs; the processes are on one
machine and meet over a file, so that nothing listens beyond its loopback interface.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd import Function

from alspec.errors import RankLost

ANSWER_SECONDS = 900.0
"""For a process to take part in what all do together; longer only if it hangs."""

_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"

_SIGNS = ("gloo", "NCCL", "ProcessGroup", "Connection", "store")
"""In the messages of torch, where another process of the group is gone."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that do a training together.

    Attributes:
        rank: its number, from 0.
        count: of processes: torch's world size.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one reads and writes checkpoints, reports and commits."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes; gradients are summed as well."""
        return value if self.count == 1 else _Total.apply(value)  # type: ignore[no-untyped-call]

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes.

        Each passes the gradient on to its own value as if it were the mean: the mean of gradients
        over processes, which follows a backward pass, divides it.
        """
        return value if self.count == 1 else _Mean.apply(value)  # type: ignore[no-untyped-call]

    def highest(self, number: int) -> int:
        """The highest of a number of each process."""
        if self.count == 1:
            return number
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return int(value)

    def stacked(self, value: Tensor) -> Tensor:
        """The values of all processes, (count, ...) in their order; alone the value itself.

        Args:
            value: on the processor, of one shape and type in all of them.
        """
        if self.count == 1:
            return value
        values = [torch.empty_like(value) for _ in range(self.count)]
        dist.all_gather(values, value)
        return torch.stack(values)

    def of_first(self, data: bytes) -> bytes:
        """The bytes that the first process has; what others give is not looked at."""
        if self.count == 1:
            return data
        size = torch.tensor(len(data))
        dist.broadcast(size, 0)
        shared = torch.zeros(int(size), dtype=torch.uint8)
        if self.first:
            shared = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else shared
        dist.broadcast(shared, 0)
        return shared.numpy().tobytes()

    def wait(self) -> None:
        """Go on when all processes have come here."""
        self.highest(0)


ALONE = Ranks()


class _Total(Function):
    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        return _all_reduced(value)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return _all_reduced(gradients[0])


class _Mean(Function):
    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        return _all_reduced(value) / dist.get_world_size()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _all_reduced(value: Tensor) -> Tensor:
    reduced = value.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(reduced)
    return reduced


@contextmanager
def joined(rank: int, count: int, meeting: Path, device: torch.device) -> Iterator[Ranks]:
    """Be one of the processes of a training while the block lasts.

    Args:
        rank: of this process.
        count: of all.
        meeting: a file that is not there yet, the same for all; the first to come makes it.
        device: of this process; tensors on the processor are always exchanged as well.

    Raises:
        RankLost: in the block, another process ended, failed or did not answer.
    """
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, _LOOPBACK)
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            init_method=meeting.absolute().as_uri(),
            rank=rank,
            world_size=count,
            timeout=datetime.timedelta(seconds=ANSWER_SECONDS),
        )
        ranks = Ranks(rank, count)
        yield ranks
        ranks.wait()  # nobody leaves before all have what they wait for
        dist.destroy_process_group()
    except (RuntimeError, dist.DistError) as err:
        if not (isinstance(err, dist.DistError) or any(sign in str(err) for sign in _SIGNS)):
            raise
        raise RankLost("another process of this training ended before it") from err
