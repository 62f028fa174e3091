"""Load, plan, check, run, read results, advise, select, ingest, predict: all that people do.

A study goes to `alspec.studies`, a labelling project to `alspec.projects`; the command line and the
tests of reliability are clients of this module. Nothing here prints; progress goes to an observer,
errors are `AlspecError`s with the command line's text and exit code. torch is imported by worker
processes alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from alspec import studies
from alspec.errors import InputError
from alspec.recommend.advise import Known
from alspec.run.observer import Progress, observer_of
from alspec.run.options import RunOptions
from alspec.run.outlook import Outlook, outlook
from alspec.spec.load import load_project, load_spec, names_project
from alspec.spec.load import load_study as _load_study
from alspec.spec.model import Study
from alspec.spec.project import Project
from alspec.store.study_folder import WORK_DIR
from alspec.studies import Checked

if TYPE_CHECKING:
    from alspec.labelling.outcomes import CheckedProject, ProjectResults
    from alspec.plan.dag import Plan
    from alspec.projects import ingest, predict, select, status
    from alspec.recommend.advise import Answer
    from alspec.recommend.guide import Entry
    from alspec.report.study_results import StudyResults
    from alspec.run.executors.base import ExecutorFactory

__all__ = [
    "Checked", "Outlook", "answers", "check", "ingest", "load", "load_study", "outlook", "plan",
    "predict", "publish", "recommend", "results", "run", "select", "status",
]  # fmt: skip

Overrides: TypeAlias = Mapping[str, object] | Sequence[str]
"""Values that replace those of a spec: `{"training.epochs": 2}`, or as on the command line
`["training.epochs=2"]`."""


def __getattr__(name: str) -> Any:
    """What only projects have; their modules are imported when one is first asked for."""
    if name in ("ingest", "predict", "select", "status"):
        return getattr(import_module("alspec.projects"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(path: str | Path, overrides: Overrides = ()) -> Study | Project:
    """Read and validate a spec.

    Args:
        path: a YAML file.
        overrides: values that replace those of the file.

    Returns:
        The study, or the labelling project, frozen.

    Raises:
        SpecError: everything that is wrong with the spec, each problem with line and column.
    """
    return load_spec(Path(path), _as_arguments(overrides))


def load_study(path: str | Path, overrides: Overrides = ()) -> Study:
    """The same of a study alone; a labelling project is an error that says what takes it."""
    return _load_study(Path(path), _as_arguments(overrides))


def _as_arguments(overrides: Overrides) -> Sequence[str]:
    if isinstance(overrides, Mapping):
        return [f"{key}={_as_yaml(key, value)}" for key, value in overrides.items()]
    return overrides


def _as_yaml(key: str, value: object) -> str:
    """A value as JSON, which YAML takes; a path is its text."""
    try:
        return json.dumps(value, default=os.fspath)
    except (TypeError, ValueError) as err:
        what = f"{value!r} cannot be written in a spec: give text, a number, a list or a mapping"
        raise InputError.at(key, what) from err


def plan(
    spec: Study | Project, *, trust_config: bool = False, work_dir: str | Path = WORK_DIR
) -> Plan:
    """Everything a study will do, or what the next `select` of a project will; reads no pixel.

    Args:
        spec: as `load` gives it.
        trust_config: training may run the spec's own MMSegmentation config, which is code.
        work_dir: whose store knows what the files contained when it first saw them, and for a
            project how redundant its images were measured to be: before that they are taken as
            redundant.

    Returns:
        Its `settings`, `runs` and `steps`; `table()` is a DataFrame with a row a labelled set.

    Raises:
        InputError: files that are not there, or budgets that a pool cannot fill.
    """
    if isinstance(spec, Project):
        from alspec import projects

        return projects.plan(spec, trust_config=trust_config, work_dir=work_dir)
    return studies.plan(spec, trust_config=trust_config, work_dir=work_dir)


@overload
def check(spec: Study, *, trust_config: bool = ..., progress: Progress = ...) -> Checked: ...
@overload
def check(
    spec: Project, *, trust_config: bool = ..., progress: Progress = ...
) -> CheckedProject: ...
def check(
    spec: Study | Project, *, trust_config: bool = False, progress: Progress = None
) -> Checked | CheckedProject:
    """Read every image and mask; of a study, also try every model and method once.

    Returns:
        What was found.

    Raises:
        InputError: everything that is wrong.
    """
    if isinstance(spec, Project):
        from alspec import projects

        return projects.check(spec, progress=progress)
    return studies.check(spec, trust_config=trust_config, progress=progress)


@overload
def run(
    spec: Study,
    *,
    devices: str | None = ...,
    work_dir: str | Path = ...,
    progress: Progress = ...,
    executor: ExecutorFactory | str | None = ...,
    trust_config: bool = ...,
    jobs: int | None = ...,
    loader_workers: int = ...,
    wait: bool = ...,
    idle_seconds: float | None = ...,
    revise: bool = ...,
    only: Sequence[str] = ...,
    until: Sequence[str] = ...,
    track: Sequence[str] = ...,
    full_paths: bool = ...,
) -> StudyResults: ...
@overload
def run(
    spec: Project,
    *,
    devices: str | None = ...,
    work_dir: str | Path = ...,
    progress: Progress = ...,
    executor: ExecutorFactory | str | None = ...,
    trust_config: bool = ...,
) -> ProjectResults: ...
def run(
    spec: Study | Project,
    *,
    devices: str | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
    executor: ExecutorFactory | str | None = None,
    trust_config: bool = False,
    jobs: int | None = None,
    loader_workers: int = 0,
    wait: bool = True,
    idle_seconds: float | None = None,
    revise: bool = False,
    only: Sequence[str] = (),
    until: Sequence[str] = (),
    track: Sequence[str] = (),
    full_paths: bool = False,
) -> StudyResults | ProjectResults:
    """Run what is not done yet, and publish what is finished.

    Of a project, a model is trained on what is labelled now and measured; nothing is chosen.

    Args:
        spec: as `load` gives it.
        devices: as `--devices`: `cpu:4`, `cuda:0,1`; the spec's if None, else every GPU there is.
        work_dir: where the folder of the study or project and the store are.
        progress: hears what happens.
        executor: `local`, `slurm` or `ray`, the spec's if None; or what makes an executor.
        trust_config: training may run the spec's own MMSegmentation config, which is code.
        jobs: how many pilots a cluster is asked for; the spec's if None.
        loader_workers: processes that prepare a training's batches; no result depends on it.
        wait: for steps that other runs have the leases of; on a cluster for its jobs.
        idle_seconds: how long to wait for them at a time, before the run ends; for ever if None,
            on a cluster as the spec has it for its pilots.
        revise: continue a study that another file's spec was run with.
        only: names of steps to run (words, a pattern, a key), whose inputs are done.
        until: names of steps to run with all that they are made from.
        track: experiment trackers that hear of results: tensorboard, mlflow, wandb.
        full_paths: name the files of this machine in spec.yaml.

    Returns:
        What was executed and what failed, and the tables of all that is finished.

    Raises:
        InputError: the spec, the data, the models or the disk do not allow it; for a project, one
            of the arguments from `jobs` on, or a cluster.
        StepFailed: of a project, a step failed; finished steps stay in the store.
        StoreError: the store is corrupt again and again, or cannot be written.
    """
    options = RunOptions(
        devices=devices, executor=executor, trust_config=trust_config, jobs=jobs,
        loader_workers=loader_workers, wait=wait, idle_seconds=idle_seconds, revise=revise,
        only=tuple(only), until=tuple(until), track=tuple(track), full_paths=full_paths,
    )  # fmt: skip
    if isinstance(spec, Study):
        return studies.run(spec, options, work_dir=work_dir, progress=progress)
    from alspec import projects

    return projects.run(spec, options, work_dir=work_dir, progress=progress)


def results(folder: str | Path, overrides: Sequence[str] = ()) -> StudyResults | ProjectResults:
    """What is finished of a study or a project, read from its folder; writes nothing.

    Args:
        folder: `work_dirs/<study>` or `work_dirs/<project>`.
        overrides: as in `load`.

    Raises:
        SpecError: it is neither.
    """
    if names_project(Path(folder) / "spec.yaml"):
        from alspec import projects

        return projects.results(folder, overrides)
    return studies.results(folder, overrides)


@overload
def publish(
    spec: Study, *, work_dir: str | Path = ..., overrides: Sequence[str] = ...
) -> StudyResults: ...
@overload
def publish(
    spec: Project, *, work_dir: str | Path = ..., overrides: Sequence[str] = ...
) -> ProjectResults: ...
@overload
def publish(
    spec: str | Path, *, work_dir: str | Path = ..., overrides: Sequence[str] = ...
) -> StudyResults | ProjectResults: ...
def publish(
    spec: Study | Project | str | Path,
    *,
    work_dir: str | Path = WORK_DIR,
    overrides: Sequence[str] = (),
) -> StudyResults | ProjectResults:
    """Write tables, figures and report of what is finished, whether or not all is.

    Args:
        spec: as `load` gives it, or the folder of a study or a project.
        work_dir: where its folder is; not for a folder.
        overrides: as in `load`, for a folder's spec.
    """
    if isinstance(spec, str | Path) and names_project(Path(spec) / "spec.yaml"):
        work_dir = Path(spec).absolute().parent
        spec = load_project(Path(spec) / "spec.yaml", overrides)
    if isinstance(spec, Project):
        from alspec import projects

        return projects.publish(spec, work_dir=work_dir)
    return studies.publish(spec, work_dir=work_dir, overrides=overrides)


def recommend(
    spec: Study | Project | None = None,
    *,
    redundancy: str | None = None,
    budget: str | None = None,
    ssl: bool | None = None,
    images: str | Path | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> list[Entry]:
    """The guide's advice (paper, Table 6), with its evidence and its limits.

    Args:
        spec: its pools are measured, and its budgets or the project's labels read, where they are
            not given.
        redundancy: low or high.
        budget: low (at most 10 % labelled) or high.
        ssl: may training use unlabelled images; both if None.
        images: a folder to measure in place of a spec; neither masks nor a spec are needed.
        work_dir: where a project's folder and the store are.
        progress: hears of images read.

    Returns:
        An entry for each cell of the guide that fits.

    Raises:
        InputError: the files do not allow it, both a spec and a folder are given, or a value is
            none of these.
    """
    found = answers(
        spec,
        Known(redundancy, budget, ssl),
        images=images,
        work_dir=work_dir,
        progress=progress,
    )
    return [entry for answer in found for entry in answer.advice.entries]


def answers(
    spec: Study | Project | None,
    known: Known,
    *,
    images: str | Path | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> list[Answer]:
    """The same by setting, in words and with what was measured."""
    from alspec.recommend.advise import advice_for, advice_for_images

    observer = observer_of(progress)
    if images is not None:
        if spec is not None:
            what = "cannot be combined with a spec; leave out one of them"
            raise InputError.at("--images", what)
        return [advice_for_images(Path(images), known, observer.reading)]
    if isinstance(spec, Project):
        from alspec import projects

        return [projects.recommend(spec, known, work_dir=work_dir, progress=progress)]
    expanded = studies.plan(spec) if spec else None
    return list(advice_for(expanded, known, observer.reading))
