"""Makes the paths of a study hold wherever a worker is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec, ListedFrames, ModelConfig, ModelName, Study
from alspec.spec.project import Project


def project_with_absolute_paths(project: Project) -> Project:
    """The same for a labelling project."""
    return project.model_copy(
        update={
            "dataset": _dataset(project.dataset),
            "model": _model(project.model),
            "pretrained": _absolute(project.pretrained) if project.pretrained else None,
            "features": _absolute(project.features) if project.features else None,
        }
    )


def with_absolute_paths(study: Study) -> Study:
    """The study with every path made absolute, links left as they are, and label maps read.

    A config file that is not here stays as written: mmsegmentation may ship it.

    Raises:
        DataError: a small file that a dataset names cannot be read.
    """
    return study.model_copy(
        update={
            "datasets": _datasets(study),
            "model": _model(study.model),
            "pretrained": _absolute(study.pretrained) if study.pretrained else None,
        }
    )


def _model(model: ModelName | ModelConfig) -> ModelName | ModelConfig:
    if not isinstance(model, ModelConfig):
        return model
    config = _absolute(model.config) if Path(model.config).is_file() else model.config
    checkpoint = _absolute(model.checkpoint) if model.checkpoint else None
    return ModelConfig(config=config, checkpoint=checkpoint)


def _datasets(study: Study) -> tuple[DatasetSpec, ...]:
    specs: list[DatasetSpec] = []
    problems: list[Problem] = []
    for index, spec in enumerate(study.datasets):
        try:
            specs.append(_dataset(spec).resolved())
        except DataError as err:
            problems += [replace(p, loc=("datasets", index, *p.loc)) for p in err.problems]
    if problems:
        raise DataError(problems)
    return tuple(specs)


def _dataset(spec: DatasetSpec) -> DatasetSpec:
    changes: dict[str, object] = {}
    if spec.root is not None:
        changes["root"] = _absolute(spec.root)
    if isinstance(spec.redundancy, ListedFrames):
        changes["redundancy"] = ListedFrames(kind="list", path=_absolute(spec.redundancy.path))
    return spec.model_copy(update=changes)


def _absolute(path: str) -> str:
    return str(Path(path).absolute())
