"""s4GAN: semi-supervised training around any MMSegmentation segmentor.

Mittal, Tatarchenko, Brox, *Semi-Supervised Semantic Segmentation with High- and Low-level
Consistency*, 2019, section 3; the paper's SSL (section 4).

L_S = L_ce + w_fm L_fm + w_st L_st;  L_D = mean of two binary cross-entropies.
B = images, C = classes, H, W = pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import add_prefix
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from alspec.datasets.base import IGNORE
from alspec.models.inference.decoding import logits_at, one_tensor, two_logits
from alspec.models.inference.row_blocks import upsampled
from alspec.models.input.loader import Inputs, Preprocessed
from alspec.models.ranks import ALONE, Ranks
from alspec.spec.model import S4GAN

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


WIDTHS = (64, 128, 256, 512)
"""Channels after each convolution of the discriminator (Mittal et al., section 3)."""


class _Halving(nn.Conv2d):
    """A convolution of 4x4, stride 2, padding 1; as one matrix product where pixels are few.

    A processor's convolution spends its time on the weights when they far outnumber the pixels
    they are used at; cuDNN chooses its own way.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H // 2, W // 2)."""
        images, _, height, width = maps.shape
        height, width = height // 2, width // 2
        if maps.is_cuda or images * height * width * 4 > self.out_channels:
            return super().forward(maps)
        patches = F.unfold(maps, 4, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
        products = F.linear(patches, self.weight.flatten(1), self.bias)
        return products.view(images, height, width, -1).permute(0, 3, 1, 2)


class Discriminator(nn.Module):
    """Judges class maps and image as a whole: four strided convolutions, pooling, linear.

    Dropout follows each convolution but the last, whose pooled features are matched: with it, the
    loss would mostly compare two draws of the layer. Weights start from N(0, 2 / (16 C')), the
    variance that keeps gradients as large as they are (He et al., 2015); the bias of the score
    starts from 0.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = classes + 3
        for width in WIDTHS:
            convolution = _Halving(channels, width)
            nn.init.normal_(convolution.weight, std=math.sqrt(2 / (16 * width)))
            layers += [convolution, nn.LeakyReLU(0.2, inplace=True), nn.Dropout2d(0.5)]
            channels = width
        self.features = nn.Sequential(*layers[:-1])
        self.score = nn.Linear(channels, 1)
        nn.init.zeros_(self.score.bias)

    def forward(self, maps: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B,) that the maps are ground truth, and the pooled features (B, 512).

        Args:
            maps: class probabilities or one-hot labels, (B, C, H, W).
            images: (B, 3, H, W) in 0..1.
        """
        pooled = self.features(torch.cat([maps, images], dim=1)).mean(dim=(2, 3))
        return self.score(pooled).squeeze(1), pooled


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(B, H, W) labels to (B, C, H, W) booleans, false wherever the label is ignored."""
    return labels.unsqueeze(1) == torch.arange(classes, device=labels.device)[:, None, None]


def feature_matching(real: Tensor, fake: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """L_fm = |mean_B f(real) - mean_B f(fake)|, f D's pooled features (Mittal et al., section 3).

    Args:
        real: features of labels with their images, (B, 512).
        fake: features of predictions with theirs, (B, 512).
        ranks: processes that have a part of the batch each.

    Returns:
        The mean over the 512 features, (), at least 0.
    """
    return (ranks.mean(real.mean(dim=0)) - ranks.mean(fake.mean(dim=0))).abs().mean()


def self_training(
    logits: Tensor, accepted: Tensor, ignored: Tensor, ranks: Ranks = ALONE
) -> Tensor:
    """L_st: cross-entropy of the accepted images' predictions against their own argmax.

    Mittal et al., section 3: of the unlabelled images with D(x) > gamma.

    Args:
        logits: (B, C, H, W) of unlabelled images.
        accepted: (B,) booleans, D's score above the threshold.
        ignored: (B, H, W) booleans; padding never becomes a pseudo-label.
        ranks: processes that have a part of the batch each; the mean over them is that of the
            whole batch.

    Returns:
        The mean over the pixels that count, (); 0 where none does.
    """
    labels = logits.detach().argmax(dim=1)
    labels = labels.masked_fill(ignored | ~accepted[:, None, None], IGNORE)
    losses = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    counted = ranks.total((labels != IGNORE).sum()).clamp(min=1)
    return losses.sum() * ranks.count / counted


def _labels_of(batch: Preprocessed) -> Tensor:
    """(B, H, W) labels of a preprocessed batch."""
    samples = batch["data_samples"] or ()
    return torch.stack([sample.gt_sem_seg.data for sample in samples]).squeeze(1)


@contextmanager
def _norms_of_each_half(model: nn.Module) -> Iterator[None]:
    """Batch norms take the two halves of a batch one after the other, as in two passes.

    Labelled and unlabelled images so keep statistics of their own, and the running statistics
    move as they do in two passes.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    for norm in norms:
        norm.forward = partial(_by_halves, norm.forward)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _by_halves(forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    return torch.cat([forward(half) for half in inputs.chunk(2)])


class S4GANSegmentor(BaseModel):  # type: ignore[misc]
    """A segmentor S and a discriminator D, trained in turn with one optimizer each.

    No gradient of S's losses reaches D, none of D's reaches S. With both weights zero the step is
    the supervised step and nothing else.
    """

    def __init__(
        self,
        segmentor: EncoderDecoder,
        discriminator: Discriminator,
        weights: S4GAN,
        *,
        joint: bool = True,
        ranks: Ranks = ALONE,
    ) -> None:
        """Wrap a segmentor.

        Args:
            segmentor: an mmseg EncoderDecoder.
            discriminator: for its classes.
            weights: of the losses.
            joint: both batches may take one pass; compiled networks take one each.
            ranks: processes that train together.
        """
        super().__init__(data_preprocessor=segmentor.data_preprocessor)
        self.joint = joint
        self.ranks = ranks
        self.segmentor = segmentor
        self.discriminator = discriminator
        self.weights = weights

    def forward(self, *args: Any, mode: str = "tensor", **kwargs: Any) -> Any:
        """The segmentor's own forward; in the mode `adversarial` all that a step pays."""
        if mode == "adversarial":
            return self._paid(*args)
        return self.segmentor(*args, mode=mode, **kwargs)

    def train_step(
        self,
        data: Mapping[str, Inputs],
        optim_wrapper: OptimWrapperDict,
        through: nn.Module | None = None,
    ) -> dict[str, Tensor]:
        """One step of S and one of D, both on the one forward pass of each.

        Neither's weights change before both have their gradients, so the scores that teach S serve
        D too; each backward pass is restricted to one module's parameters.

        Args:
            data: `labelled` and `unlabelled`, each as the preprocessor takes it.
            optim_wrapper: `segmentor` and `discriminator`.
            through: a wrapper of this one, whose forward is to be called in place of its own.
        """
        segmentor, called = self.segmentor, through or self
        step_s, step_d = optim_wrapper["segmentor"], optim_wrapper["discriminator"]
        labelled = self.data_preprocessor(data["labelled"], True)
        with step_s.optim_context(segmentor):
            if not (self.weights.feature_matching or self.weights.self_training):
                loss, logs = segmentor.parse_losses(called(**labelled, mode="loss"))
                step_s.update_params(loss)
                return dict(logs)
            unlabelled = self.data_preprocessor(data["unlabelled"], True)
            total, loss_d, logs = called(labelled, unlabelled, mode="adversarial")
        # D's pass goes through D alone; S's, the last one, can free what it has gone through.
        self._backward(step_d, loss_d, self.discriminator, keep_graph=True)
        self._backward(step_s, total, segmentor, keep_graph=False)
        for step in (step_s, step_d):
            step.step()
            step.zero_grad()
        return dict(logs)

    def _paid(
        self, labelled: Preprocessed, unlabelled: Preprocessed
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The losses of S and of D, and all of them in numbers for the log."""
        losses, logits = self._segmented(labelled, unlabelled["inputs"])
        loss, logs = self.segmentor.parse_losses(losses)
        loss_s, loss_d, judged = self._adversarial_losses(labelled, unlabelled, logits)
        total = loss + loss_s
        return total, loss_d, {**logs, **judged, "loss": total.detach()}

    def _segmented(
        self, labelled: Preprocessed, unlabelled: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The supervised losses and the unlabelled images' logits, from one pass where that can be.

        A head with a loss of its own, or a cascade of heads, takes the two batches in two passes.
        """
        segmentor = self.segmentor
        images, samples = labelled["inputs"], labelled["data_samples"]
        size = unlabelled.shape[-2:]
        head = segmentor.decode_head
        if not self.joint or getattr(type(head), "loss", None) is not BaseDecodeHead.loss:
            losses = segmentor(**labelled, mode="loss")
            return losses, logits_at(segmentor, unlabelled, size)
        with _norms_of_each_half(segmentor):
            levels = segmentor.extract_feat(torch.cat([images, unlabelled]))
            both = one_tensor(head(levels), head)
        of_labels, of_others = both[: len(images)], both[len(images) :]
        losses = add_prefix(head.loss_by_feat(of_labels, samples), "decode")
        if segmentor.with_auxiliary_head:
            first = tuple(level[: len(images)] for level in levels)
            losses.update(segmentor._auxiliary_head_forward_train(first, samples))
        of_others = two_logits(segmentor, of_others)
        return losses, upsampled(of_others, size, segmentor.align_corners)

    def _adversarial_losses(
        self, labelled: Preprocessed, unlabelled: Preprocessed, logits: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What S pays beside its cross-entropy, what D pays, and both in numbers for the log."""
        truth, padding = _labels_of(labelled), _labels_of(unlabelled) == IGNORE
        maps = logits.softmax(dim=1) * ~padding.unsqueeze(1)
        real_maps = one_hot(truth, logits.shape[1]).to(maps.dtype)
        # Two calls, so that S's backward pass goes through the fake half alone.
        real, real_features = self.discriminator(
            real_maps, self._unit_images(labelled["inputs"], truth == IGNORE)
        )
        fake, fake_features = self.discriminator(
            maps, self._unit_images(unlabelled["inputs"], padding)
        )
        confidence = fake.detach().sigmoid()
        accepted = confidence > self.weights.threshold
        matching = feature_matching(real_features.detach(), fake_features, self.ranks)
        # Reading what was accepted would stall a GPU; a processor is spared a loss that is zero.
        if logits.is_cuda or self.ranks.count > 1 or bool(accepted.any()):
            training = self_training(logits, accepted, padding, self.ranks)
        else:
            training = logits.new_zeros(())
        loss_s = self.weights.feature_matching * matching + self.weights.self_training * training
        loss_d = 0.5 * (
            F.binary_cross_entropy_with_logits(real.float(), torch.ones_like(real.float()))
            + F.binary_cross_entropy_with_logits(fake.float(), torch.zeros_like(fake.float()))
        )
        judged = {
            "loss_feature_matching": matching.detach(),
            "loss_self_training": training.detach(),
            "loss_discriminator": loss_d.detach(),
            "accepted": accepted.float().mean(),
            "score_real": real.detach().sigmoid().mean(),
            "score_fake": confidence.mean(),
        }
        return loss_s, loss_d, judged

    @staticmethod
    def _backward(step: OptimWrapper, loss: Tensor, module: nn.Module, *, keep_graph: bool) -> None:
        """Gradients of one module's parameters alone."""
        own = [parameter for parameter in module.parameters() if parameter.requires_grad]
        step.backward(step.scale_loss(loss), inputs=own, retain_graph=keep_graph)

    def _unit_images(self, normalised: Tensor, ignored: Tensor) -> Tensor:
        """Network input back to 0..1, zero where nothing is known, the same for real and fake."""
        preprocessor = self.data_preprocessor
        images: Tensor = (normalised * preprocessor.std + preprocessor.mean) / 255
        return images * ~ignored.unsqueeze(1)
