"""Budgets: how many images are labelled at each cycle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from alspec.spec.fields import Frozen, Name
from alspec.spec.validation import distinct

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PERCENT_BUDGET = re.compile(f"({_NUMBER})-({_NUMBER})")


class Budget(Frozen):
    """How many images are labelled: `initial`, then `step` more a cycle, `cycles` sets in all.

    `10-10` means 10 % + 4 x 10 %, five labelled sets (paper, section 4).
    """

    name: Name = Field(description="how tables call it")
    unit: Literal["percent", "images"] = Field(
        default="percent", description="of `initial` and `step`: percent of the pool, or images"
    )
    initial: float = Field(gt=0, description="labelled in cycle 0")
    step: float = Field(gt=0, description="labelled more in each cycle after it")
    cycles: int = Field(default=5, ge=1, le=1000, description="labelled sets, the initial included")

    @model_validator(mode="after")
    def _within_bounds(self) -> Budget:
        last = Fraction(str(self.initial)) + (self.cycles - 1) * Fraction(str(self.step))
        if self.unit == "percent" and last > 100:
            raise PydanticCustomError(
                "budget",
                "budget {name} ends at {last} % labelled: {initial} + {more} x {step}; "
                "100 % is the whole pool. Use fewer cycles or smaller steps",
                {
                    "name": self.name,
                    "last": f"{float(last):g}",
                    "initial": f"{self.initial:g}",
                    "more": self.cycles - 1,
                    "step": f"{self.step:g}",
                },
            )
        if self.unit == "images" and not (self.initial.is_integer() and self.step.is_integer()):
            raise PydanticCustomError("budget", "a budget in images takes whole numbers", {})
        return self

    def labelled_images(self, pool_images: int) -> tuple[int, ...]:
        """Images labelled at each cycle of a pool of that size, cumulative, rounded half up."""
        return _labelled_images(self.unit, self.initial, self.step, self.cycles, pool_images)


@cache
def _labelled_images(
    unit: str, initial: float, step: float, cycles: int, pool_images: int
) -> tuple[int, ...]:
    """The same for every run of a setting; fractions are slow."""
    totals = [Fraction(str(initial)) + cycle * Fraction(str(step)) for cycle in range(cycles)]
    if unit == "percent":
        totals = [total * pool_images / 100 for total in totals]
    return tuple(int(total + Fraction(1, 2)) for total in totals)


def _budget_from_text(value: object) -> object:
    if isinstance(value, (Mapping, Budget)):
        return value
    found = _PERCENT_BUDGET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError(
            "budget",
            "`{value}` is not a budget. Write `10-10` (initial and step in percent), or "
            "{name: 3k, unit: images, initial: 1000, step: 1000, cycles: 3}",
            {"value": str(value)},
        )
    return {"name": value, "initial": float(found[1]), "step": float(found[2])}


AnyBudget: TypeAlias = Annotated[Budget, BeforeValidator(_budget_from_text)]

Budgets: TypeAlias = Annotated[
    tuple[AnyBudget, ...], Field(min_length=1), distinct("budget", lambda budget: budget.name)
]
