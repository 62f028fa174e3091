"""What the values of a delivery's grey masks mean: ids of classes.csv, or the project's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from alspec.datasets.base import IGNORE
from alspec.labelling.delivery.base import Expectation


def ids(expected: Expectation) -> Mapping[int, int]:
    """The ids of classes.csv, and what no class has."""
    return {
        **{number: number for number in range(len(expected.classes))},
        IGNORE: expected.unlabelled,
    }


def meaning(masks: Sequence[Set[int]], expected: Expectation) -> Mapping[int, int]:
    """Class ids by value: the reading that fits most of the masks.

    Args:
        masks: the values of each, at least one mask.
        expected: says which reading is wanted, or that any is.

    Raises:
        ValueError: more masks may be either, with different classes, than decide between them;
            or colours are asked for.
    """
    by_id, own = ids(expected), _own(expected)
    wanted = expected.mask_values
    if wanted == "ids":
        return by_id
    if wanted == "colours" or (wanted == "own" and not own):
        raise ValueError(f"it is grey; --mask-values {wanted} asks for colours")
    if wanted == "own":
        return own
    every = set().union(*masks)
    if every == {0, IGNORE} and own.get(IGNORE, expected.unlabelled) == expected.unlabelled:
        raise ValueError(
            "the masks hold the values 0 and 255 alone, and 255 means unlabelled: if it is a "
            "class here, write the ids of classes.csv; else say --mask-values ids"
        )
    fit_ids = [values <= by_id.keys() for values in masks]
    fit_own = [values <= own.keys() for values in masks]
    unlike = {value for value in by_id.keys() & own.keys() if by_id[value] != own[value]}
    unclear = [
        values & unlike
        for values, *fits in zip(masks, fit_ids, fit_own, strict=True)
        if all(fits) and values & unlike
    ]
    if len(unclear) > abs(sum(fit_ids) - sum(fit_own)):
        shown = ", ".join(map(str, sorted(set().union(*unclear))[:5]))
        raise ValueError(
            f"its values may be ids of classes.csv or those of the project's own masks, and "
            f"{shown} differ: say --mask-values ids or own, or use the colours of classes.csv"
        )
    return own if sum(fit_own) > sum(fit_ids) else by_id


def _own(expected: Expectation) -> Mapping[int, int]:
    """The values of the project's own masks; the ignored one may be 255."""
    return {
        value: expected.unlabelled if (value, class_id) == (IGNORE, IGNORE) else class_id
        for value, class_id in expected.values.items()
    }
