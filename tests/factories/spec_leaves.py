"""Every leaf field of the spec, declared as what changes a number or what does not."""

from __future__ import annotations

from enum import Enum
from typing import get_args

from pydantic import BaseModel

from alspec.acquisition.bald import Bald
from alspec.datasets.kinds.folder import Spec as FolderSpec
from alspec.datasets.kinds.toy import Spec as ToySpec
from alspec.spec.dataset import DatasetSpec
from alspec.spec.model import Study


class Field(Enum):
    SEMANTIC = "changes a number, so it changes keys"
    OPERATIONAL = "changes no number, so no key"


S, O = Field.SEMANTIC, Field.OPERATIONAL  # noqa: E741

# leaf: (what it is, where it stands, another value, edits before)
LEAVES = {
    "study": (O, "study", "other", {}),
    "datasets.toy.name": (O, "datasets.0.name", "other", {}),
    "datasets.toy.kind": (S, None, None, {}),  # told by the two bases having no step in common
    "datasets.toy.root": (O, "datasets.0.root", None, {}),  # a toy has none
    "datasets.toy.image_size": (S, "datasets.0.image_size", [32, 32], {}),
    "datasets.toy.sequences": (S, "datasets.0.sequences", 3, {}),
    "datasets.toy.frames": (S, "datasets.0.frames", 11, {}),
    "datasets.toy.val_sequences": (S, "datasets.0.val_sequences", 2, {}),
    "datasets.toy.val_frames": (S, "datasets.0.val_frames", 6, {}),
    "datasets.toy.seed": (S, "datasets.0.seed", 1, {}),
    "datasets.toy.classes": (S, "datasets.0.classes", ["road", "sky"], {}),
    "datasets.folder.name": (O, "datasets.0.name", "other", {}),
    "datasets.folder.kind": (S, None, None, {}),
    "datasets.folder.root": (O, "datasets.0.root", "COPY", {}),
    "datasets.folder.image_size": (S, "datasets.0.image_size", [32, 32], {}),
    "datasets.folder.images": (S, "datasets.0.images", "train2", {}),
    "datasets.folder.masks": (S, "datasets.0.masks", "trainannot2", {}),
    "datasets.folder.classes": (S, "datasets.0.classes", ["a", "c"], {}),
    "datasets.folder.ignore": (S, "datasets.0.ignore", 7, {}),
    "datasets.folder.sequence": (S, "datasets.0.sequence", "^(..)", {}),
    "datasets.folder.val.images": (S, "datasets.0.val.images", "val2", {}),
    "datasets.folder.val.masks": (S, "datasets.0.val.masks", "valannot2", {}),
    "datasets.toy.absent": (O, "datasets.0.absent", ["road"], {}),
    "datasets.toy.ignored_share": (O, "datasets.0.ignored_share", 0.9, {}),
    "datasets.folder.absent": (O, "datasets.0.absent", ["a"], {}),
    "datasets.folder.values": (S, "datasets.0.values", {"0": "a", "255": "b"}, {}),
    "datasets.folder.colours": (S, None, None, {}),  # with `ignore` of the base no spec at all
    "datasets.folder.split.train": (S, None, None, {}),  # these two without `val` alone
    "datasets.folder.split.val": (S, None, None, {}),
    "datasets.folder.val.sequences": (S, "datasets.0.val", {"sequences": ["s1"]}, {}),
    "datasets.folder.val.fraction": (S, "datasets.0.val", {"fraction": 0.3}, {}),
    "datasets.folder.val.seed": (S, "datasets.0.val", {"fraction": 0.3, "seed": 1}, {}),
    "datasets.folder.bands": (S, "datasets.0.bands", [3, 2, 1], {}),
    "datasets.folder.range": (S, "datasets.0.range", [0, 4095], {}),
    "datasets.folder.image_name": (S, "datasets.0.image_name", "{stem}.png", {}),
    "datasets.folder.mask_name": (S, "datasets.0.mask_name", "{stem}.png", {}),
    "datasets.folder.follow_links": (O, "datasets.0.follow_links", True, {}),
    "datasets.folder.ignored_share": (O, "datasets.0.ignored_share", 0.9, {}),
    "redundancy.all.kind": (S, "datasets.0.redundancy", {"kind": "every", "n": 2}, {}),
    "redundancy.every.kind": (S, "datasets.0.redundancy", {"kind": "all"}, {"r": "every"}),
    "redundancy.every.n": (S, "datasets.0.redundancy.n", 1, {"r": "every"}),
    "redundancy.frames.kind": (S, "datasets.0.redundancy", {"kind": "all"}, {"r": "frames"}),
    "redundancy.frames.size": (S, "datasets.0.redundancy.size", 10, {"r": "frames"}),
    "redundancy.frames.consecutive": (S, "datasets.0.redundancy.consecutive", 0, {"r": "frames"}),
    "redundancy.frames.seed": (S, "datasets.0.redundancy.seed", 1, {"r": "frames"}),
    "redundancy.augmented.kind": (S, "datasets.0.redundancy", {"kind": "all"}, {"r": "augmented"}),
    "redundancy.augmented.size": (S, "datasets.0.redundancy.size", 10, {"r": "augmented"}),
    "redundancy.augmented.duplicates": (
        S, "datasets.0.redundancy.duplicates", 3, {"r": "augmented"},
    ),
    "redundancy.augmented.crop_area": (
        S, "datasets.0.redundancy.crop_area", 0.5, {"r": "augmented"},
    ),
    "redundancy.augmented.seed": (S, "datasets.0.redundancy.seed", 1, {"r": "augmented"}),
    "redundancy.list.kind": (S, "datasets.0.redundancy", {"kind": "all"}, {"r": "list"}),
    "redundancy.list.path": (O, "datasets.0.redundancy.path", "SAME_LIST", {"r": "list"}),
    "budgets.name": (O, "budgets.0.name", "other", {}),
    "budgets.unit": (S, "budgets.0.unit", "images", {}),
    "budgets.initial": (S, "budgets.0.initial", 25, {}),
    "budgets.step": (S, "budgets.0.step", 30, {}),
    "budgets.cycles": (S, "budgets.0.cycles", 3, {}),
    "methods.name": (S, "methods.0.name", "coreset", {}),
    "methods.label": (O, "methods.0.label", "other", {}),
    "methods.candidates.every": (S, "methods.0.candidates", {"every": 2}, {}),
    "methods.passes": (S, "methods.1.passes", 3, {}),
    "ssl": (S, "ssl", [False], {}),
    "baselines": (S, "baselines", [], {}),
    "seeds": (S, "seeds", [1], {}),
    "model.name": (S, "model", "deeplabv3plus_small", {}),
    "model.config": (S, "model.config", "CONFIG2", {"model": {"config": "CONFIG"}}),
    "model.checkpoint": (S, "model.checkpoint", "WEIGHTS", {"model": {"config": "CONFIG"}}),
    "pretrained": (S, "pretrained", "WEIGHTS", {}),
    "training.epochs": (S, "training.epochs", 2, {}),
    "training.batch_size": (S, "training.batch_size", 2, {}),
    "training.lr": (S, "training.lr", 0.5, {}),
    "training.head_lr_factor": (S, "training.head_lr_factor", 1, {}),
    "training.momentum": (S, "training.momentum", 0.5, {}),
    "training.weight_decay": (S, "training.weight_decay", 0, {}),
    "training.power": (S, "training.power", 1, {}),
    "training.precision": (S, "training.precision", "float32", {}),
    "training.crop": (S, "training.crop", [16, 16], {}),
    "training.scale": (S, "training.scale", [0.5, 2.0], {}),
    "training.scale_step": (S, None, None, {}),  # beside `scale` alone; test_keys has it
    "training.flip": (S, "training.flip", False, {}),
    "training.colour": (S, "training.colour", True, {}),
    "training.compile": (S, "training.compile", True, {}),
    "training.optimizer.type": (S, "training.optimizer.type", "Adam", {"o": "AdamW"}),
    "training.optimizer.lr": (S, "training.optimizer.lr", 0.5, {"o": "AdamW"}),
    "training.optimizer.weight_decay": (S, "training.optimizer.weight_decay", 0.5, {"o": "AdamW"}),
    "training.optimizer.momentum": (S, "training.optimizer.momentum", 0.5, {"o": "SGD"}),
    "training.optimizer.betas": (S, "training.optimizer.betas", [0.5, 0.6], {"o": "AdamW"}),
    "training.optimizer.eps": (S, "training.optimizer.eps", 0.5, {"o": "AdamW"}),
    "training.optimizer.nesterov": (S, "training.optimizer.nesterov", True, {"o": "SGD"}),
    "training.optimizer.amsgrad": (S, "training.optimizer.amsgrad", True, {"o": "AdamW"}),
    "training.optimizer.head_lr_factor": (
        S, "training.optimizer.head_lr_factor", 3, {"o": "AdamW"},
    ),
    "training.optimizer.paramwise_cfg": (
        S, "training.optimizer.paramwise_cfg", {"norm_decay_mult": 0}, {"o": "AdamW"},
    ),
    "training.optimizer.clip_grad": (S, "training.optimizer.clip_grad", 1, {"o": "AdamW"}),
    "training.optimizer.warmup": (S, "training.optimizer.warmup", 0.1, {"o": "AdamW"}),
    "training.optimizer.power": (S, "training.optimizer.power", 2, {"o": "AdamW"}),
    "s4gan.feature_matching": (S, "s4gan.feature_matching", 0.2, {}),
    "s4gan.self_training": (S, "s4gan.self_training", 0.5, {}),
    "s4gan.threshold": (S, "s4gan.threshold", 0.5, {}),
    "s4gan.discriminator_lr": (S, "s4gan.discriminator_lr", 0.1, {}),
    "evaluation.miou_at": (O, "evaluation.miou_at", [40], {}),
    "evaluation.image_size": (S, "evaluation.image_size", [48, 48], {}),
    "evaluation.auc": (O, "evaluation.auc", False, {}),
    "keep": (O, "keep", "all", {}),
    "execution.executor": (O, "execution", {"executor": "slurm"}, {}),
    "execution.devices": (O, "execution", {"devices": "cuda:0*3"}, {}),
    "execution.jobs": (O, "execution", {"jobs": 8}, {}),
    "execution.idle": (O, "execution", {"idle": "1h"}, {}),
    "execution.slurm.partition": (O, "execution", {"slurm": {"partition": "gpu"}}, {}),
    "execution.slurm.account": (O, "execution", {"slurm": {"account": "vision"}}, {}),
    "execution.slurm.time": (O, "execution", {"slurm": {"time": "4:00:00"}}, {}),
    "execution.slurm.gpu": (O, "execution", {"slurm": {"gpu": "a100"}}, {}),
    "execution.slurm.cpus": (O, "execution", {"slurm": {"cpus": 4}}, {}),
    "execution.slurm.memory": (O, "execution", {"slurm": {"memory": "32G"}}, {}),
    "execution.slurm.array_size": (O, "execution", {"slurm": {"array_size": 100}}, {}),
    "execution.slurm.lines": (O, "execution", {"slurm": {"lines": ["--qos=low"]}}, {}),
    "execution.slurm.setup": (O, "execution", {"slurm": {"setup": ["module load x"]}}, {}),
    "execution.ray.address": (O, "execution", {"ray": {"address": "auto"}}, {}),
    "execution.ray.cpus": (O, "execution", {"ray": {"cpus": 2}}, {}),
}  # fmt: skip

REDUNDANCY = {
    "every": {"kind": "every", "n": 2},
    "frames": {"kind": "frames", "size": 12, "consecutive": 1},
    "augmented": {"kind": "augmented", "size": 12, "duplicates": 1},
    "list": {"kind": "list", "path": "LIST"},
}


def models_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def kind_of(model):
    return get_args(model.model_fields["kind"].annotation)[0]


def all_leaves():
    for name, field in Study.model_fields.items():
        if name == "datasets":
            for kind, model in (("toy", ToySpec), ("folder", FolderSpec)):
                yield from leaves_of(model, f"datasets.{kind}.", {"redundancy", "budgets"})
            for model in models_in(DatasetSpec.model_fields["redundancy"].annotation):
                yield from leaves_of(model, f"redundancy.{kind_of(model)}.", set())
        elif name == "methods":
            yield from ("methods.name", "methods.label", "methods.candidates.every")
            yield from leaves_of(Bald.Params, "methods.", set())
        elif name == "model":
            yield "model.name"
            for model in models_in(field.annotation):
                yield from leaves_of(model, "model.", set())
        else:
            below = list(models_in(field.annotation))
            yield from [name] if not below else []
            for model in below:
                yield from leaves_of(model, f"{name}.", set())


def leaves_of(model, prefix, without):
    for name, field in model.model_fields.items():
        below = list(models_in(field.annotation))
        if name in without:
            continue
        yield from [prefix + name] if not below else []
        for inner in below:
            yield from leaves_of(inner, f"{prefix}{name}.", set())
