"""Step `train`: a labelled set to weights."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from alspec.datasets.base import Dataset, ImageId, Split
from alspec.errors import StepFailed, StoreError
from alspec.models.nets.build import assemble, build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.config_data import ConfigData
from alspec.models.nets.own_config import read_config
from alspec.models.training.fit import Seeds, Trained, fit
from alspec.models.training.optimizers import Recipe, recipe_of
from alspec.plan.config_file import runnable_config
from alspec.plan.kinds.acquire import SELECTED
from alspec.plan.kinds.train import EPOCHS, WEIGHTS, ModelFacts, TrainFacts, TrainParams
from alspec.plan.step import Step
from alspec.spec.model import S4GAN, Training
from alspec.spec.optimizer import OF_CONFIG
from alspec.steps.illustrations import PICKS, write_picks
from alspec.steps.work import StepContext
from alspec.store.hashing import as_planned
from alspec.store.store import Store
from alspec.system import failpoints
from alspec.system.atomic import write_bytes, write_csv
from alspec.system.provenance import machine

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


_WEIGHTS = ("pretrained", "checkpoint")


def perform(context: StepContext) -> None:
    """Write `weights.safetensors`, `model.json`, `train.json`, `epochs.csv`, any `picks.jpg`.

    Of several processes that train together, the first one writes.
    """
    _require_devices(context)
    labelled = context.labelled()
    config, recipe = config_of(context.step), recipe_for(context.step)
    with context.planned_dataset(Split.POOL) as dataset:
        trained, weights = _trained(context, dataset, config, recipe, labelled)
        if context.worker_context.ranks.first:
            _write_first_picks(context, dataset)
    context.worker_context.ranks.wait()  # all have read what was planned
    if not context.worker_context.ranks.first:
        return
    failpoints.at("train.save", context.folder)
    write_bytes(context.folder / WEIGHTS, save(weights))
    mc_dropout = TrainParams.of(context.step.params).mc_dropout
    ModelFacts(repr(config), mc_dropout, recipe.training.precision).write(context.folder)
    names = ["epoch", *sorted(trained.epochs[0].keys() - {"epoch"})]
    rows = [[f"{epoch[name]:.6g}" for name in names] for epoch in trained.epochs]
    write_csv(context.folder / EPOCHS, names, rows)
    images = trained.iterations * recipe.training.batch_size
    device, devices = str(context.device), context.worker_context.ranks.count
    if devices > 1:
        device = f"{devices} x {context.device.type}"
    facts = TrainFacts(
        seconds=trained.seconds,
        device=device,
        iterations=trained.iterations,
        images_per_second=images / max(trained.seconds, 1e-9),
        parameters=trained.parameters,
        labelled_images=len(labelled),
    )
    facts.write(context.folder, **machine(str(context.device)))


def _require_devices(context: StepContext) -> None:
    """Raises StepFailed where fewer or more devices are there than its key says."""
    there, wanted = context.worker_context.ranks.count, context.step.devices
    if there != wanted:
        what = f"this training takes {wanted} devices together; {there} is given"
        raise StepFailed(f"{what}. `alspec run` gives a training its devices")


def _trained(
    context: StepContext,
    dataset: Dataset,
    config: ConfigData,
    recipe: Recipe,
    labelled: Sequence[ImageId],
) -> tuple[Trained, dict[str, Tensor]]:
    """The finished training and its finite weights, on the CPU."""
    params = TrainParams.of(context.step.params)
    s4gan = S4GAN.model_validate(params.s4gan) if params.s4gan else None
    policy = context.checkpoint_policy
    try:
        trained = fit(
            lambda: initial_segmentor(context.step, config),
            context.worker_context.frames(dataset),
            labelled,
            context.unlabelled(labelled),
            recipe,
            s4gan,
            Seeds(**{role.name: context.seed(role.name) for role in fields(Seeds)}),
            context.device,
            context.progress,
            policy,
            context.worker_context.loader_workers,
            context.worker_context.ranks,
        )
        state = trained.segmentor.state_dict()
        weights = {name: tensor.contiguous().cpu() for name, tensor in state.items()}
        _refuse_infinite(weights)
    except StepFailed:
        if context.worker_context.ranks.first:
            policy.checkpoints.clear()  # going on would only fail again
        raise
    return trained, weights


def _write_first_picks(context: StepContext, dataset: Dataset) -> None:
    """Write `picks.jpg` for a choice that looked at no image, such as a random one."""
    labelled = context.step.inputs.get("labelled")
    if labelled is not None and not context.store.holds(labelled, PICKS):
        selected = [ImageId(line) for line in context.store.read_lines(labelled, SELECTED)]
        write_picks(context.folder, context.worker_context.frames(dataset), selected)


def config_of(step: Step) -> ConfigData:
    """The MMSegmentation model config of a train step; runs its config file, if that is trusted.

    Raises:
        InputError: the config file may not be run, or holds no model.
    """
    params = TrainParams.of(step.params)
    model = params.model
    config_file = runnable_config(model, step.local_paths["model"])
    config = model_config(model.get("name"), params.classes, config_file)
    runnable_config(model, step.local_paths["model"])  # the very bytes that were run
    return config


def recipe_for(step: Step) -> Recipe:
    """Optimizer and schedule of a train step; runs its config file for the file's own.

    Raises:
        InputError: the config file may not be run, or trains in a way that alspec does not.
    """
    params = TrainParams.of(step.params)
    training = Training.model_validate(params.training)
    own = None
    if training.optimizer is not None and training.optimizer.type == OF_CONFIG:
        path = runnable_config(params.model, step.local_paths["model"])
        own = read_config(path) if path else None
    return recipe_of(training, own)


def initial_segmentor(
    step: Step, config: ConfigData, note: Callable[[str], None] | None = None
) -> EncoderDecoder:
    """The segmentor that a train step starts from, weights from files included.

    Args:
        step: of kind train.
        config: as `config_of` gives it.
        note: is given a sentence on each file of weights.

    Raises:
        InputError: it cannot be built, or the weights are unsafe, unreadable, of another model, or
            not those that the study was planned with.
    """
    params, local_paths = TrainParams.of(step.params), step.local_paths["model"]
    files = {name: Path(local_paths[name]) for name in _WEIGHTS if name in local_paths}
    with ExitStack() as read:
        for name, path in files.items():
            read.enter_context(as_planned(path, params.model[f"{name}_sha256"]))
        return build_segmentor(
            config,
            mc_dropout=params.mc_dropout,
            pretrained=files.get("pretrained"),
            checkpoint=files.get("checkpoint"),
            note=note,
        )


def _refuse_infinite(weights: Mapping[str, Tensor]) -> None:
    """Raise StepFailed for weights that the last update made NaN or infinite: no loss shows it."""
    wrong = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if wrong:
        raise StepFailed(
            f"training diverged in its last iteration: {len(wrong)} weights are not finite, the "
            f"first {wrong[0]}. Lower training.lr or training.head_lr_factor"
        )


def load_trained(store: Store, key: str, device: torch.device) -> EncoderDecoder:
    """The segmentor that a finished train step holds, in eval mode, on the device.

    Raises:
        StoreError: the step's files are whole, but hold no model.
    """
    weights = store.file(key, WEIGHTS)
    try:
        model = ModelFacts.read(store, key)
        config = ast.literal_eval(model.config)
        segmentor = assemble(config, mc_dropout=model.mc_dropout, random_init=False)
        segmentor.load_state_dict(load_file(weights))
    except Exception as err:
        what = f"{store.home(key)}: holds no trained model ({type(err).__name__}: {err})"
        raise StoreError(f"{what}; remove this folder and run again") from err
    segmentor.eval().to(device)
    if device.type == "cuda":
        segmentor.to(memory_format=torch.channels_last)
    return segmentor
