"""What a study does otherwise than the paper, so that figures are compared with open eyes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import PurePath

from alspec.plan.arms import acquisition_function
from alspec.plan.dag import Setting
from alspec.recommend.match import POOL_IMAGES, PaperSetting, paper_method
from alspec.spec.model import (
    S4GAN,
    AugmentedFrames,
    DatasetSpec,
    FollowingFrames,
    ListedFrames,
    ModelConfig,
    Study,
    Training,
)

_SEEDS = 3
_SIZES = {"pascal-voc": (321, 321)}
_USUAL_SIZE = (256, 512)
_S4GAN = {"pascal-voc": S4GAN(threshold=0.6, discriminator_lr=1e-4)}
_USUAL_S4GAN = S4GAN(threshold=0.7, discriminator_lr=2.5e-5)
_CLASS_MAP = "release19"
_FOLLOWERS = {5, 11, 21}
_NOT_IN_THE_PAPER = {"precision", "crop", "scale", "scale_step", "compile"}


def departures(study: Study, dataset: DatasetSpec, paper: PaperSetting) -> tuple[str, ...]:
    """The study's settings that are not the paper's, each as `epochs 6 instead of 100`."""
    return tuple(
        f"{name} {ours} instead of {theirs}"
        for name, ours, theirs in _compared(study, dataset, paper)
        if ours != theirs
    )


def _compared(
    study: Study, dataset: DatasetSpec, paper: PaperSetting
) -> Iterator[tuple[str, object, object]]:
    """Name, the study's value and the paper's, for all that the paper gives."""
    of_study, of_paper = study.model, Study.model_fields["model"].default
    name = PurePath(of_study.config).name if isinstance(of_study, ModelConfig) else of_study
    yield "model", name, of_paper
    yield "pretrained weights", "ImageNet's" if study.pretrained else "none", "ImageNet's"
    yield "number of seeds", len(study.seeds), _SEEDS
    seen = study.training.crop or dataset.image_size
    yield "training images", _pixels(seen), _pixels(_SIZES.get(paper.dataset, _USUAL_SIZE))
    if dataset.kind == "a2d2":
        measured = study.evaluation.image_size or dataset.image_size
        yield "measured at", _pixels(measured), _pixels(_USUAL_SIZE)
    scaled = "scaled at random" if study.training.scale else "of one scale"
    yield "images", scaled, "scaled at random" if paper.dataset == "pascal-voc" else "of one scale"
    for key, default in Training().model_dump(exclude=_NOT_IN_THE_PAPER).items():
        yield f"training.{key}", getattr(study.training, key), default
    if study.training.optimizer is not None:
        yield "training.optimizer", study.training.optimizer.type, "SGD"
    if any(study.ssl):
        for key, value in _S4GAN.get(paper.dataset, _USUAL_S4GAN).model_dump().items():
            yield f"s4gan.{key}", getattr(study.s4gan, key), value
    yield "class map", getattr(dataset, "class_map", _CLASS_MAP), _CLASS_MAP
    if isinstance(dataset.redundancy, FollowingFrames):
        frames = int(paper.dataset.removeprefix("a2d2-pool-").removesuffix("f"))
        yield "redundancy.consecutive", dataset.redundancy.consecutive, frames
    if isinstance(dataset.redundancy, AugmentedFrames):
        yield "redundancy.crop_area", dataset.redundancy.crop_area, 0.85
    yield from _parameters(study, paper)


def _parameters(study: Study, paper: PaperSetting) -> Iterator[tuple[str, object, object]]:
    """Parameters of the methods that are compared; alspec's defaults are the paper's."""
    rows = {row.method for row in paper.rows()}
    for method in study.methods:
        if paper_method(method) in rows:
            fields = acquisition_function(method.name).Params.model_fields
            for key, value in method.params.items():
                yield f"{method.label}'s {key}", value, fields[key].get_default()


def _pixels(size: tuple[int, int] | None) -> str:
    return f"{size[0]} x {size[1]}" if size else "their own size"


def notes(dataset: DatasetSpec, setting: Setting, paper: PaperSetting) -> Iterator[str]:
    """What else to know before comparing: whose frames the pool has, where mIoU is read."""
    match dataset.redundancy:
        case ListedFrames() if setting.pool_images != POOL_IMAGES:
            yield (
                f"The list holds {setting.pool_images:,} different images; the paper counts "
                f"{POOL_IMAGES:,}."
            )
        case FollowingFrames() | AugmentedFrames():
            yield "The pool is built like the paper's; its frames are sampled anew."
    if paper.rows()[0].miou_at is None:
        yield (
            f"The paper does not say where its mIoU of {paper.budget} is read; here it is at "
            f"{paper.miou_at:g} %, the third labelled set, as for its other budgets in percent."
        )


def authors_code(study: Study, dataset: DatasetSpec) -> Iterator[str]:
    """What the code behind the paper's figures does otherwise than text and study.

    Args:
        study: compared with the paper's figures.
        dataset: of one setting.
    """
    differences = "; ".join(chain(_of_nets(study), _of_scores(study)))
    if differences:
        yield (
            f"The authors' code, with which the paper's figures were made, is not in all as its "
            f"text says: {differences}. In this the study follows the text; `specs/as_released` "
            "follows the code where a spec can."
        )
    if dataset.kind == "a2d2" and study.training.flip:
        yield "The authors' code mirrors no image of A2D2 (`training.flip: false`)."
    match dataset.redundancy:
        case FollowingFrames(consecutive=following) if following in _FOLLOWERS:
            yield f"The authors' lists hold groups of {following} frames, not of 1 + {following}."


def _of_nets(study: Study) -> Iterator[str]:
    if study.model == "deeplabv3plus_wrn38":
        yield (
            "its decoder has dense convolutions and no norm comes after the backbone's last block, "
            "137.1 M parameters in place of 113.6 M (`model: deeplabv3plus_wrn38_dense`)"
        )
    if study.training.optimizer is None and study.training.lr == Training().lr:
        yield (
            "its optimizer is given parameters once for each module that holds them, on average a "
            "learning rate of 4.9e-3, and 8 times that for the head"
        )
    if False in study.ssl:
        yield "without SSL the head goes on from the cycle before, which no spec can say"


def _of_scores(study: Study) -> Iterator[str]:
    params = {method.name: method.params for method in study.methods}
    if "coreset" in params and params["coreset"].get("grid", 1) == 1:
        yield "Coreset's features are averaged in 2 x 2 cells (`grid: 2`)"
    if params.get("equal", {}).get("variant") == "js":
        yield (
            "EqualAL without SSL adds the entropies of both views (`variant: entropy_sum`), with "
            "SSL the colours of two heat maps"
        )
    if "entropy" in params:
        yield "entropies are scaled to their range in each image, which no spec can say"
