"""What a caller of `run` chooses, from the Python API to a cluster's pilots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pydantic import ValidationError

from alspec.errors import InputError
from alspec.run.devices import parse_devices
from alspec.spec.execution import Execution
from alspec.spec.model import Study

if TYPE_CHECKING:
    from alspec.run.executors.base import ExecutorFactory

OF_PROJECTS = frozenset({"devices", "executor", "trust_config"})
"""What a labelling project takes as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a study is run; nothing of it changes a number. Each field is explained in `api.run`."""

    devices: str | None = None
    executor: ExecutorFactory | str | None = None
    trust_config: bool = False
    jobs: int | None = None
    loader_workers: int = 0
    wait: bool = True
    idle_seconds: float | None = None
    revise: bool = False
    only: Sequence[str] = ()
    until: Sequence[str] = ()
    track: Sequence[str] = ()
    full_paths: bool = False

    @property
    def beyond_projects(self) -> bool:
        """Whether something is chosen that only studies take."""
        mine = [field for field in fields(self) if field.name not in OF_PROJECTS]
        return any(getattr(self, field.name) != field.default for field in mine)

    @property
    def make_executor(self) -> ExecutorFactory | None:
        """What makes the executor, where the caller gives it in place of a name."""
        return None if isinstance(self.executor, str) else self.executor

    @property
    def patience(self) -> float:
        """Seconds to wait at a time for steps that other runs have the leases of."""
        if not self.wait:
            return 0.0
        return math.inf if self.idle_seconds is None else self.idle_seconds

    def execution(self, study: Study) -> Execution:
        """Where a study is to run: the spec's block, and what the caller says instead of it.

        Raises:
            InputError: no such executor, or no such number of jobs.
        """
        named = self.executor if isinstance(self.executor, str | None) else "local"
        own: dict[str, object] = {"executor": named, "devices": self.devices, "jobs": self.jobs}
        own["idle"] = None if self.idle_seconds is None else f"{self.idle_seconds:g}s"
        given = {name: value for name, value in own.items() if value is not None}
        if self.devices is not None:
            parse_devices(self.devices, here=False)
        try:
            return Execution.model_validate({**study.execution.model_dump(), **given})
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            name = str(first["loc"][-1])
            raise InputError.at(f"--{name}", f"`{given.get(name)}`: {first['msg']}") from err

    def of_pilots(self) -> list[str]:
        """The options of `alspec run` that a cluster's pilots are given."""
        options = ["--trust-config"] if self.trust_config else []
        options += ["--full-paths"] if self.full_paths else []
        options += ["--loader-workers", str(self.loader_workers)] if self.loader_workers else []
        options += [word for step in self.only for word in ("--only", step)]
        return options + [word for step in self.until for word in ("--until", step)]
