"""What a kind of step is: its parameters, what it writes, what it costs, and who performs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from alspec.system.atomic import write_json

if TYPE_CHECKING:
    from alspec.spec.model import Training
    from alspec.store.store import Store

FORWARD_FACTOR = 1 / 3
"""A forward pass against a training step, an image; a heuristic."""

_Record = TypeVar("_Record", bound="_Fields")


class _Fields:
    """A frozen dataclass that is read from plain data."""

    @classmethod
    def of(cls: type[_Record], data: Mapping[str, object]) -> _Record:
        """The record in plain data; fields that a former version did not write are defaults.

        Raises:
            KeyError: a field without a default is missing.
        """
        known = {}
        for each in fields(cls):  # type: ignore[arg-type]
            if each.name in data or each.default is MISSING:
                known[each.name] = data[each.name]
        return cls(**known)


class StepParams(_Fields):
    """Everything that changes a kind's result: frozen dataclasses of plain data.

    Attributes:
        OPTIONAL: fields that are part of a recipe only where they say something, since they came
            after the first version: keys of studies without them stay.
    """

    OPTIONAL: ClassVar[frozenset[str]] = frozenset()

    def recipe(self) -> dict[str, object]:
        """The part of the step's recipe, plain data."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return {k: v for k, v in values.items() if k not in self.OPTIONAL or v}


class JsonArtifact(_Fields):
    """A JSON file that a step writes about itself: frozen dataclasses with their file's name."""

    FILE: ClassVar[str]

    @classmethod
    def read(cls: type[_Json], store: Store, key: str) -> _Json:
        """The artifact of a finished step.

        Raises:
            StoreError: it is missing or corrupt.
        """
        return cls.of(store.read_json(key, cls.FILE))

    def write(self, folder: Path, **more: object) -> None:
        """Write it into a draft.

        Args:
            folder: the draft.
            more: what is recorded besides and read by people alone, such as the machine.
        """
        own = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        write_json(folder / self.FILE, {**more, **own})


_Json = TypeVar("_Json", bound=JsonArtifact)


@dataclass(frozen=True, slots=True)
class Scale:
    """How many images a step of a run meets.

    Attributes:
        labelled_images: in the labelled set that it trains on, measures or chooses after.
        candidates: images that a method chooses from, labelled ones included.
        validation_images: that a model is measured on.
        training: the study's.
    """

    labelled_images: int
    candidates: int
    validation_images: int
    training: Training


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a step has to do.

    Attributes:
        images: that a model is run on.
        factor: the cost of an image, in those of supervised training; a heuristic.
        facts: what else decides the time of an image.
    """

    images: int
    factor: float
    facts: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of step. Adding one is adding a module to this package that defines `KIND`.

    Attributes:
        name: in recipes and on the command line.
        version: raised when the kind's code changes its result for the same recipe (CHANGELOG,
            Re-runs).
        performer: `module:function` that does the work; it is imported by workers alone.
        amount: of work in a step of this kind, from its parameters and its scale; None for a kind
            that runs no model.
    """

    name: str
    version: int
    performer: str
    amount: Callable[[Mapping[str, object], Scale], Amount] | None = None

    def __repr__(self) -> str:
        return f"<kind {self.name}>"
