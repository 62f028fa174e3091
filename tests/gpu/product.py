"""The parts of the product that the GPU acceptance measures, each named by where it lives."""

from __future__ import annotations

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
from alspec import plugins
from alspec.acquisition.coreset import k_center
from alspec.datasets.base import Split
from alspec.datasets.kinds.folder import Folder
from alspec.datasets.kinds.folder import Spec as FolderSpec
from alspec.datasets.synthetic.render import view
from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.outputs import outputs_of
from alspec.models.input.augmentation import Augmentation
from alspec.models.input.batches import Batches, Order, in_batches
from alspec.models.input.gpu_batches import ResidentBatches
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.mc_dropout import decoder_dropouts
from alspec.models.nets.normalisation import IMAGENET_MEAN, IMAGENET_STD
from alspec.models.training.checkpoint import Checkpoints
from alspec.models.training.fit import Seeds, fit
from alspec.models.training.repeatable import repeat_exactly
from alspec.models.training.resume import CheckpointPolicy
from alspec.models.training.s4gan import Discriminator
from alspec.run.devices import parse_devices
from alspec.run.executors.worker import KEEP_ITERATIONS, prepare
from alspec.spec.model import S4GAN, Training
from alspec.store.store import Store

WORKER = "alspec.run.executors.worker"
"""The module that a worker process runs."""

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "KEEP_ITERATIONS",
    "S4GAN",
    "WORKER",
    "Augmentation",
    "Batches",
    "CheckpointPolicy",
    "Checkpoints",
    "Discriminator",
    "Folder",
    "FolderSpec",
    "Order",
    "ResidentBatches",
    "Seeds",
    "Split",
    "Store",
    "Training",
    "build_segmentor",
    "compat",
    "decoder_dropouts",
    "fit",
    "folded",
    "in_batches",
    "k_center",
    "model_config",
    "outputs_of",
    "parse_devices",
    "plugins",
    "prepare",
    "repeat_exactly",
    "view",
]
