"""Table 6 as frozen models, read from `guide.yaml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict

Level: TypeAlias = Literal["low", "high"]
Family: TypeAlias = Literal["random", "single", "batch"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Frozen):
    """What Table 6 advises for one combination of redundancy, budget and arm.

    Attributes:
        redundancy: low is the table's "diverse", high its "redundant".
        budget: low is 2-2, high is 10-10 and the 3K task.
        ssl: the arm asked about: may SSL be used at all.
        family: the advised family of methods.
        use_ssl: whether the advised models are trained with SSL.
        label: the table's words.
        caveats: what a reader of this cell must know.
    """

    redundancy: Level
    budget: Level
    ssl: bool
    family: Family
    use_ssl: bool
    label: str
    caveats: tuple[str, ...] = ()


class FamilyOfMethods(_Frozen):
    """The methods of a family that need no dropout layers."""

    methods: tuple[str, ...]
    caveats: tuple[str, ...] = ()


class PaperDataset(_Frozen):
    """A dataset of the paper: its name for people, and its redundancy."""

    title: str
    redundancy: Level


class Guide(_Frozen):
    """Table 6, and how the paper's settings fall into its cells.

    Attributes:
        cells: the eight cells.
        families: the methods behind each family.
        budgets: caveats of each level of budget.
        redundancies: caveats of each level of redundancy.
        always: caveats of all cells.
        datasets: the paper's datasets.
        levels: the level of each of the paper's budgets.
        titles: the names of methods for people.
    """

    cells: tuple[Cell, ...]
    families: dict[Family, FamilyOfMethods]
    budgets: dict[Level, tuple[str, ...]]
    redundancies: dict[Level, tuple[str, ...]]
    always: tuple[str, ...]
    datasets: dict[str, PaperDataset]
    levels: dict[str, Level]
    titles: dict[str, str]


@cache
def load_guide() -> Guide:
    """The guide as shipped."""
    text = files("alspec.recommend").joinpath("guide.yaml").read_text(encoding="utf-8")
    return Guide.model_validate(yaml.safe_load(text))
