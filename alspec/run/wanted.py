"""Which steps a run is asked for, by `--only` and `--until`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alspec.errors import InputError
from alspec.plan.dag import Plan
from alspec.plan.naming_steps import steps_named, with_ancestors
from alspec.plan.step import StepKey
from alspec.run.loop import needed
from alspec.store.store import Store


def wanted_steps(
    plan: Plan, store: Store, only: Sequence[str], until: Sequence[str]
) -> Collection[StepKey] | None:
    """The steps that names mean, with all that they are made from; None for all steps.

    Args:
        plan: a study, expanded.
        store: where steps are committed.
        only: names of steps to run; what they are made from must be there.
        until: names of steps to run with all that they are made from.

    Raises:
        InputError: a name means no step, or what `only` names lacks an input.
    """
    if not (only or until):
        return None
    alone = {step.key for step in steps_named(plan, only)}
    whole = with_ancestors(plan, steps_named(plan, until))
    inputs = with_ancestors(plan, [plan.steps[key] for key in alone])
    lacking = [s for key, s in needed(plan, store, inputs).items() if key not in alone | whole]
    if lacking:
        what = (
            f"{len(lacking)} steps that these are made from are not done, the first "
            f"`{lacking[0].label}`; --until runs them too"
        )
        raise InputError.at(f"--only {' '.join(only)}", what)
    return inputs | whole
