"""torch.compile for a training: encoder and decoder become fused kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from alspec.errors import StepFailed

_PARTS = ("backbone", "neck", "decode_head", "auxiliary_head")


@contextmanager
def compiling(segmentor: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Have a segmentor's networks compiled when they first run, which takes minutes the first time.

    Weights and their names stay as they are. A later training of the same network, in this process
    or another, finds what was compiled in torch's own cache.

    Args:
        segmentor: an mmseg EncoderDecoder, changed in place.
        wanted: nothing is done otherwise.

    Raises:
        StepFailed: in the block, something could not be compiled.
    """
    if not wanted:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException  # a second of imports

    torch.compiler.reset()  # a warm worker would come to the limit of compiled forms
    for network in _networks(segmentor):
        network.forward = torch.compile(network.forward, dynamic=False)
    try:
        yield
    except TorchDynamoException as err:
        why = " ".join(str(err).split("\n\n")[0].split()) or type(err).__name__
        raise StepFailed(
            f"torch.compile failed ({why}). It needs a C++ compiler, and on a GPU Triton; install "
            "them, or set training.compile to false"
        ) from err


def _networks(segmentor: nn.Module) -> Iterator[nn.Module]:
    """The networks that MMSegmentation calls one after the other, heads of a cascade one by one."""
    for name in _PARTS:
        part = getattr(segmentor, name, None)
        if isinstance(part, nn.ModuleList):
            yield from part
        elif part is not None:
            yield part
