"""Part 2, the plain way: MMSegmentation's own runner and plain loops of the same net and batch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import product
import torch
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.datasets import BaseSegDataset
from mmseg.registry import MODELS
from part_notes import Notes, run_part
from speed_case import (
    CLASSES,
    Case,
    Clock,
    case_of,
    drawn,
    peak_memory,
    rate_of_pool,
    rate_of_steps,
    reset_peak,
)
from torch import Tensor
from torch.nn import functional as F

assert BaseSegDataset  # registers it


def part(notes: Notes, options: argparse.Namespace) -> None:
    """Every row that the product has too."""
    case, device = case_of(options.rehearse)
    root = drawn(case, options.scratch)
    if options.rehearse:
        torch.set_num_threads(1)
    least = 0 if options.rehearse else 10
    with notes.attempt("train", needs=least) as timely:
        if timely:
            reset_peak(device)
            clock = Clock(device)
            runner(case, device, root, options.scratch / "plain", clock).train()
            notes.say("train", **rate_of_steps(clock, case), **peak_memory(device))
    with notes.attempt("train-s4gan", needs=least) as timely:
        if timely:
            reset_peak(device)
            clock = s4gan_steps(case, device)
            notes.say("train-s4gan", **rate_of_steps(clock, case), **peak_memory(device))
    for name in ("entropy", "equal", "features", "bald"):
        with notes.attempt(name, needs=least) as timely:
            if timely:
                reset_peak(device)
                images = case.batch * (1 if name == "bald" else 4)
                work = scoring(name, case, device, images)
                figures = rate_of_pool(work, images, device)
                notes.say(name, **figures, **peak_memory(device))


def plain_config(case: Case) -> dict[str, Any]:
    """The net as MMSegmentation's users write it."""
    config: dict[str, Any] = product.model_config(case.net, len(CLASSES))
    config["data_preprocessor"] = {
        "type": "SegDataPreProcessor", "mean": product.IMAGENET_MEAN, "std": product.IMAGENET_STD,
        "bgr_to_rgb": True, "pad_val": 0, "seg_pad_val": 255, "size": case.size,
    }  # fmt: skip
    return config


class Ticks(Hook):  # type: ignore[misc]
    """Marks the clock after every iteration."""

    priority = "LOWEST"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def after_train_iter(self, *_args: Any, **_kwargs: Any) -> None:
        """One more."""
        self.clock.mark()


class QuietRunner(Runner):  # type: ignore[misc]
    """The runner without its table of compilers, which takes seconds."""

    def _log_env(self, env_cfg: Any) -> None:
        """Nothing."""


def runner(case: Case, device: torch.device, root: Path, work_dir: Path, clock: Clock) -> Any:
    """MMEngine's runner with MMSegmentation's usual pipeline, hooks and settings."""
    cuda = device.type == "cuda"
    optimizer = {"type": "SGD", "lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}
    wrapper: dict[str, Any] = {"type": "OptimWrapper", "optimizer": optimizer}
    if cuda:
        wrapper |= {"type": "AmpOptimWrapper", "dtype": "bfloat16"}
    wrapper["paramwise_cfg"] = {"custom_keys": {"decode_head": {"lr_mult": 10.0}}}
    iterations = case.warm * case.epochs
    dataset = {
        "type": "BaseSegDataset",
        "data_root": str(root),
        "data_prefix": {"img_path": "images", "seg_map_path": "masks"},
        "img_suffix": ".png",
        "metainfo": {"classes": CLASSES, "palette": [[0, 0, 0]] * len(CLASSES)},
        "pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations"},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "PackSegInputs"},
        ],
    }
    workers = 8 if cuda else 0
    return QuietRunner(
        model=plain_config(case),
        work_dir=str(work_dir),
        train_dataloader={
            "batch_size": case.batch,
            "num_workers": workers,
            "persistent_workers": bool(workers),
            "pin_memory": cuda,
            "sampler": {"type": "InfiniteSampler", "shuffle": True},
            "dataset": dataset,
        },
        train_cfg={
            "type": "IterBasedTrainLoop", "max_iters": iterations, "val_interval": iterations + 1,
        },
        optim_wrapper=wrapper,
        param_scheduler=[
            {"type": "PolyLR", "power": 0.9, "eta_min": 0.0, "begin": 0, "end": iterations + 1,
             "by_epoch": False},
        ],
        default_hooks={
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": 50, "log_metric_by_epoch": False},
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "checkpoint": None,
            "sampler_seed": {"type": "DistSamplerSeedHook"},
        },
        custom_hooks=[Ticks(clock)],
        env_cfg={"cudnn_benchmark": True},
        log_level="ERROR",
        default_scope="mmseg",
        experiment_name="plain",
    )  # fmt: skip


def plain_net(case: Case, device: torch.device, *, mc_dropout: bool = False) -> Any:
    """The net alone; dropout layers in its decoder come from the product's own hook."""
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    if mc_dropout:
        config = product.model_config(case.net, len(CLASSES))
        return product.build_segmentor(config, mc_dropout=True).to(device)
    config = plain_config(case)
    config.pop("data_preprocessor")
    with DefaultScope.overwrite_default_scope("mmseg"):
        made: Any = MODELS.build(config)
    made.init_weights()
    return made.to(device)


def bfloat16(device: torch.device) -> Any:
    """Autocast on a GPU; a processor that rehearses may have no bfloat16 worth using."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def made_batch(case: Case, device: torch.device) -> tuple[Tensor, Tensor]:
    """Normalised noise and labels that are on the device already."""
    made = torch.Generator(device=device).manual_seed(0)
    images = torch.randn((case.batch, 3, *case.size), generator=made, device=device)
    shape = (case.batch, *case.size)
    labels = torch.randint(0, len(CLASSES), shape, generator=made, device=device)
    return images, labels


def s4gan_steps(case: Case, device: torch.device) -> Clock:
    """s4GAN as its authors write it: three passes of the net's losses, two of the discriminator's.

    The images lie on the device; no loader is timed.
    """
    net, judge = plain_net(case, device).train(), product.Discriminator(len(CLASSES)).to(device)
    step_s = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    step_d = torch.optim.Adam(judge.parameters(), 1e-4, betas=(0.9, 0.99))
    images, labels = made_batch(case, device)
    others, _ = made_batch(case, device)
    truth = F.one_hot(labels, len(CLASSES)).permute(0, 3, 1, 2).float()
    clock = Clock(device)
    for _ in range(case.warm * case.epochs):
        with bfloat16(device):
            loss_ce = F.cross_entropy(logits_of(net, images), labels, ignore_index=255)
            logits = logits_of(net, others)
            maps = logits.softmax(dim=1)
            fake, fake_features = judge(maps, others)
            _, real_features = judge(truth, images)
            matching = (real_features.mean(0) - fake_features.mean(0)).abs().mean()
            accepted = fake.sigmoid() > 0.6
            loss_st = torch.zeros((), device=device)
            if accepted.any():
                loss_st = F.cross_entropy(logits[accepted], maps[accepted].argmax(dim=1))
            loss = loss_ce + 0.1 * matching + loss_st
        step_s.zero_grad()
        loss.backward()
        step_s.step()
        step_d.zero_grad()
        with bfloat16(device):
            fake, _ = judge(maps.detach(), others)
            real, _ = judge(truth, images)
            score = F.binary_cross_entropy_with_logits
            loss_d = score(real, torch.ones_like(real)) + score(fake, torch.zeros_like(fake))
        loss_d.backward()
        step_d.step()
        clock.mark()
    return clock


def logits_of(net: Any, images: Tensor) -> Tensor:
    """Logits at image size, float32."""
    logits = net(images, mode="tensor").float()
    return F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)


def scoring(name: str, case: Case, device: torch.device, images: int) -> Callable[[], object]:
    """One pass over some batches that are on the device, as one writes it from the formula."""
    net = plain_net(case, device, mc_dropout=name == "bald").eval()
    batch, _ = made_batch(case, device)
    score = {"entropy": entropy, "equal": equal, "features": features, "bald": bald}[name]

    @torch.inference_mode()
    def work() -> object:
        return [score(net, batch, case, device).cpu() for _ in range(images // case.batch)]

    return work


def probabilities(net: Any, images: Tensor, device: torch.device) -> Tensor:
    """(B, C, H, W)."""
    with bfloat16(device):
        logits = net(images, mode="tensor")
    size = images.shape[2:]
    return F.interpolate(logits.float(), size=size, mode="bilinear").softmax(dim=1)


def entropies(p: Tensor) -> Tensor:
    """Mean pixel entropy of each image."""
    return -(p * (p + 1e-12).log()).sum(dim=1).mean(dim=(1, 2))


def entropy(net: Any, images: Tensor, case: Case, device: torch.device) -> Tensor:
    """Mean entropy."""
    return entropies(probabilities(net, images, device))


def equal(net: Any, images: Tensor, case: Case, device: torch.device) -> Tensor:
    """Jensen-Shannon divergence of both views, from two forwards."""
    p = probabilities(net, images, device)
    q = probabilities(net, images.flip(-1), device).flip(-1)
    return entropies((p + q) / 2) - (entropies(p) + entropies(q)) / 2


def features(net: Any, images: Tensor, case: Case, device: torch.device) -> Tensor:
    """Average of the ASPP's output, caught by a hook during a whole forward."""
    caught: list[Tensor] = []
    handle = net.decode_head.bottleneck.register_forward_hook(
        lambda _module, _inputs, output: caught.append(output)
    )
    with bfloat16(device):
        net(images, mode="tensor")
    handle.remove()
    return caught[0].float().mean(dim=(2, 3))


def bald(net: Any, images: Tensor, case: Case, device: torch.device) -> Tensor:
    """Whole forwards with the decoder's dropout on, and running sums of what they say."""
    for layer in product.decoder_dropouts(net):
        layer.train()
    p_sum = entropy_sum = torch.zeros((), device=device)
    for _ in range(case.passes):
        p = probabilities(net, images, device)
        p_sum, entropy_sum = p_sum + p, entropy_sum + entropies(p)
    return entropies(p_sum / case.passes) - entropy_sum / case.passes


if __name__ == "__main__":
    run_part(part)
