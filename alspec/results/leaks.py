"""What of a study's validation images its pools have too, as the check before a run found it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from alspec.datasets.leakage import Leakage
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import write_json


@dataclass(frozen=True, slots=True)
class SplitLeak:
    """The validation images of a dataset that show what its pool shows.

    Attributes:
        images: in the validation set.
        copies: byte for byte the same as one of the pool.
        near: share with a near-copy in the pool, within [0, 1]; None below 20 images.
    """

    images: int
    copies: int
    near: float | None

    @classmethod
    def of(cls, found: Leakage) -> SplitLeak:
        """The numbers of what was found."""
        near = None if math.isnan(found.near) else found.near
        return cls(found.images, len(found.copies), near)


def write_leaks(folder: StudyFolder, leaks: Mapping[str, SplitLeak]) -> None:
    """Write data.json, by dataset; none for datasets without files."""
    if leaks:
        folder.root.mkdir(parents=True, exist_ok=True)
        write_json(folder.data, {name: asdict(leak) for name, leak in leaks.items()})
    else:
        folder.data.unlink(missing_ok=True)


def read_leaks(folder: StudyFolder) -> dict[str, SplitLeak]:
    """What `write_leaks` wrote; empty where there is nothing readable."""
    try:
        content = json.loads(folder.data.read_text("utf-8"))
        return {str(name): SplitLeak(**leak) for name, leak in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
