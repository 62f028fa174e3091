"""Random: candidates sampled uniformly without replacement, the baseline of every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel

from alspec.acquisition import base

if TYPE_CHECKING:
    from alspec.datasets.base import ImageId


class Random:
    """Chooses uniformly without replacement; sees no model."""

    name: ClassVar[str] = "random"
    family: ClassVar[base.Family] = base.Family.RANDOM
    needs: ClassVar[frozenset[base.Need]] = frozenset()
    Params: ClassVar[type[BaseModel]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n different ids in the order of sampling. Raises ValueError for n > N."""
        rows = rng.choice(len(candidates.ids), size=n, replace=False)
        return [candidates.ids[row] for row in rows]
