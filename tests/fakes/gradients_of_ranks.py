"""Outputs and gradients of a shared batch norm and of s4GAN's losses, of two processes or of one.

    python -m fakes.gradients_of_ranks FILE

writes those of two. A process of its own: once autograd has threads, forks have no gradients.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from alspec.models.ranks import Ranks
from alspec.models.training.parallel import SharedBatchNorm
from alspec.models.training.s4gan import feature_matching, self_training
from fakes.forked_ranks import together


def through(norm: nn.Module, rows: slice) -> list[Tensor]:
    """Output, gradient of the input, output of evaluation, gradient of the weight; of some rows."""
    torch.manual_seed(0)
    inputs, gradients = torch.randn(6, 5, 3, 2) * 3 + 7, torch.randn(6, 5, 3, 2)
    given = inputs[rows].clone().requires_grad_()
    output = norm(given)
    output.backward(gradients[rows])
    norm.eval()
    return [output.detach(), given.grad, norm(inputs[rows]).detach(), norm.weight.grad]


def plain_norm() -> nn.BatchNorm2d:
    """That of one process, with weights of its own."""
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(5)
    nn.init.normal_(norm.weight)
    return norm


def shared_norm(ranks: Ranks) -> list[Tensor]:
    """`through` of a process's half of the rows."""
    shared = SharedBatchNorm(5)
    shared.load_state_dict(plain_norm().state_dict())
    shared.ranks = ranks
    return through(shared, slice(3 * ranks.rank, 3 * ranks.rank + 3))


def losses(ranks: Ranks) -> list[Tensor]:
    """Feature matching, self-training and their gradients, of a process's share of four rows."""
    torch.manual_seed(0)
    real, fake = torch.randn(4, 8), torch.randn(4, 8)
    logits, accepted = torch.randn(4, 3, 5, 6), torch.tensor([True, True, True, False])
    ignored = torch.rand(4, 5, 6) < 0.3
    each = 4 // ranks.count
    rows = slice(each * ranks.rank, each * ranks.rank + each)
    features, maps = fake[rows].clone().requires_grad_(), logits[rows].clone().requires_grad_()
    matching = feature_matching(real[rows], features, ranks)
    training = self_training(maps, accepted[rows], ignored[rows], ranks)
    (matching + training).backward()  # type: ignore[no-untyped-call]
    mean = ranks.mean(training.detach())
    assert features.grad is not None
    assert maps.grad is not None
    return [matching.detach(), mean, features.grad / ranks.count, maps.grad / ranks.count]


if __name__ == "__main__":
    torch.save({"norm": together(2, shared_norm), "losses": together(2, losses)}, Path(sys.argv[1]))
