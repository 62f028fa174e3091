"""A spec file to a `Study` and back, with every problem at its line and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from alspec.errors import InputError, Problem, SpecError
from alspec.spec.execution import Execution
from alspec.spec.extends import with_bases
from alspec.spec.fields import Template, variable_names
from alspec.spec.keys import is_project
from alspec.spec.machine_paths import with_paths, without_paths
from alspec.spec.method import Method
from alspec.spec.model import Study
from alspec.spec.origin import Origin
from alspec.spec.override import apply_overrides
from alspec.spec.project import Project
from alspec.spec.source import Loc, Source
from alspec.spec.wording import NO_TEMPLATE, in_words
from alspec.spec.yaml_text import SCALARS, read_yaml

_Spec = TypeVar("_Spec", Study, Project)


def load_spec(path: Path, overrides: Sequence[str] = ()) -> Study | Project:
    """Read and validate a study's spec, or with the key `project` a labelling project's.

    Args:
        path: a YAML file.
        overrides: as of `load_study`.

    Raises:
        SpecError: everything that is wrong with the spec, each problem with its line and column.
    """
    source, problems = _read(path, overrides)
    if is_project(source.data):
        return _validated(Project, source, problems, Origin(path, tuple(overrides)))
    return _validated(Study, source, problems, Origin(path, tuple(overrides)))


def names_project(path: Path) -> bool:
    """Whether a file is a labelling project's spec; false for one that cannot be read."""
    try:
        return is_project(_read(path, ())[0].data)
    except SpecError:
        return False


def load_project(path: Path, overrides: Sequence[str] = ()) -> Project:
    """Read and validate the spec of a labelling project.

    Raises:
        SpecError: it is a study's, or everything that is wrong with it.
    """
    source, problems = _read(path, overrides)
    if not is_project(source.data):
        what = "is no labelling project: it has no key `project`. `alspec init DIR` writes one"
        raise SpecError([Problem(str(path), what)])
    return _validated(Project, source, problems, Origin(path, tuple(overrides)))


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read and validate a study spec.

    Args:
        path: a YAML file.
        overrides: values that replace those of the file, as `training.epochs=1` or
            `datasets.*.image_size=[64, 128]`.

    Raises:
        SpecError: everything that is wrong with the spec, each problem with its line and column.
    """
    source, problems = _read(path, overrides)
    if is_project(source.data):
        what = (
            "is a labelling project, not a study. `alspec select`, `ingest`, `predict`, `status` "
            "and `report` take it"
        )
        raise SpecError([Problem(str(path), what)])
    return _validated(Study, source, problems, Origin(path, tuple(overrides)))


def variables(path: Path, overrides: Sequence[str] = ()) -> set[str]:
    """The names of the environment variables that a spec's paths are made of.

    Args:
        path: the spec.
        overrides: as of `load_study`.
    """
    source, _ = _read(path, overrides)
    found = (source.value(loc) for loc in _templates(source.data, ()))
    texts = [value.text for value in found if isinstance(value, Template)]
    return {name for text in texts for name in variable_names(text)}


def _validated(
    model: type[_Spec], source: Source, problems: list[Problem], origin: Origin
) -> _Spec:
    spec = None
    try:
        spec = model.model_validate(source.data)
    except ValidationError as err:
        problems += in_words(err, source)
    else:
        problems += [source.problem(loc, NO_TEMPLATE) for loc in _templates(spec.model_dump(), ())]
    if problems or spec is None:
        raise SpecError(problems)
    spec._origin = origin
    return spec


@contextmanager
def locate_errors(study: Study | Project) -> Iterator[None]:
    """Give problems that know their place in the spec the file, line and column of it.

    Args:
        study: as `load_study` gives it; for one that was made otherwise, problems stay as they are.
    """
    try:
        yield
    except InputError as err:
        if study._origin is None:
            raise
        problems = [_naming_its_file(problem) for problem in err.problems]
        origin = study._origin
        raise type(err)(located(origin.path, problems, origin.overrides)) from err


def _naming_its_file(problem: Problem) -> Problem:
    """Name the file that a problem is about also where the spec's place will precede it."""
    about_file = problem.loc and Path(problem.where).is_absolute()
    if not about_file or problem.where in problem.what:
        return problem
    return replace(problem, what=f"{problem.where}: {problem.what}")


def located(
    path: Path, problems: Sequence[Problem], overrides: Sequence[str] = ()
) -> list[Problem]:
    """Problems found after validation, each at the line and column that its `loc` leads to.

    Args:
        path: the spec file.
        problems: those with a `loc` get `where` and `excerpt`, from the deepest part of the loc
            that is in the file; the others stay as they are.
        overrides: what `load_study` was given.
    """
    source, _ = _read(path, overrides)
    return [
        replace(
            source.problem(problem.loc, problem.what, against=problem.against),
            waits_for_labels=problem.waits_for_labels,
        )
        if problem.loc
        else problem
        for problem in problems
    ]


def dump_project(project: Project) -> str:
    """The resolved spec as YAML; `load_project` reads it back to an equal one."""
    return _as_yaml(_data_of_project(project))


def dump_without_paths(spec: Study | Project) -> tuple[str, dict[str, str]]:
    """The resolved spec as YAML with a variable for each path, and what the variables are here."""
    data = _data_of_study(spec) if isinstance(spec, Study) else _data_of_project(spec)
    plain, paths = without_paths(data)
    return _as_yaml(plain), paths


def _data_of_project(project: Project) -> dict[str, object]:
    data = project.model_dump(mode="json")
    data["execution"] = _chosen(project.execution)
    data["dataset"]["kind"] = "folder"
    if isinstance(project.method, Method):
        data["method"] = _as_written(project.method)
    return data


def dump_study(study: Study) -> str:
    """The resolved spec as YAML, defaults written out; `load_study` reads it back to an equal one.

    Paths appear expanded.
    """
    return _as_yaml(_data_of_study(study))


def _data_of_study(study: Study) -> dict[str, object]:
    data = study.model_dump(mode="json")
    data["execution"] = _chosen(study.execution)
    data["methods"] = [_as_written(method) for method in study.methods]
    return data


def _chosen(execution: Execution) -> dict[str, object]:
    """What differs from the defaults: where a study runs, if somebody chose it."""
    return execution.model_dump(mode="json", exclude_defaults=True)


def _as_yaml(data: Mapping[str, object]) -> str:
    data = {key: value for key, value in data.items() if key != "execution" or value}
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    return text


def _as_written(method: Method) -> dict[str, object]:
    written = method.model_dump(mode="json")
    own = {key: written[key] for key in ("name", "label", "candidates") if written[key] is not None}
    return {**own, **written["params"]}


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes exactly where `read_yaml` would take it for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name for it
        None: list(SCALARS.items()),
    }

    def ignore_aliases(self, data: object) -> bool:
        return True


def _read(path: Path, overrides: Sequence[str]) -> tuple[Source, list[Problem]]:
    source = with_bases(read_yaml(path), path)
    source.data = with_paths(source.data, path)
    if source.data is None:
        raise SpecError([source.problem((), "the file is empty; `alspec init` writes a spec")])
    if not isinstance(source.data, dict):
        raise SpecError([source.problem((), "expected keys with values, as `study: my_study`")])
    return source, apply_overrides(source, overrides)


def _templates(value: object, loc: Loc) -> Iterator[Loc]:
    """Where a field of any type has let a `Template` through."""
    if isinstance(value, Template):
        yield loc
    elif isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _templates(item, (*loc, key))
