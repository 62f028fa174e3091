"""Which of an image's annotations in a delivery counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alspec.datasets.base import Mask
from alspec.labelling.delivery.base import Delivered

LATEST = "latest"
"""As `--annotator`: of several annotations of an image the one that was changed last."""


def annotation_that_counts(
    given: Sequence[Delivered], wanted: str | None, untouched: Callable[[Mask], bool]
) -> tuple[Delivered | None, str]:
    """The annotation that counts; None, with the reason, where it is undecided.

    Args:
        given: of one image; at least one.
        wanted: whose annotations count, by name, or `latest`; None where nobody said.
        untouched: whether a mask is the proposal, pixel for pixel.
    """
    if wanted and wanted != LATEST:
        given = [one for one in given if one.annotator == wanted]
        if not given:
            return None, f"there is no annotation of {wanted}"
    people = sorted({one.annotator for one in given})
    if len(people) > 1 and wanted != LATEST:
        names = ", ".join(people)
        return None, f"several people annotated it ({names}): say --annotator NAME or latest"
    newest = max(one.when for one in given)
    last = [one for one in given if one.when == newest]
    rejections = [one for one in last if one.rejected]
    if rejections and any(_is_drawn(one, untouched) for one in last):
        return None, "it is marked as rejected and has a mask too: take one of them away"
    return (rejections or last)[0], ""


def _is_drawn(one: Delivered, untouched: Callable[[Mask], bool]) -> bool:
    """Whether a person stands behind a mask, by drawing in it or by submitting it."""
    return one.mask is not None and (one.submitted or not untouched(one.mask))
