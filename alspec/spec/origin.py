"""Where a spec was read, so that whatever is found wrong later is located in its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import PrivateAttr

from alspec.spec.fields import Frozen


@dataclass(frozen=True, eq=False, slots=True)
class Origin:
    """A spec file and what replaced its values.

    Attributes:
        path: the YAML file.
        overrides: `key.key=value` each, as in `--set`.
    """

    path: Path
    overrides: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Two specs are equal wherever they came from."""
        return other is None or isinstance(other, Origin)

    def __hash__(self) -> int:
        return 0


class Located(Frozen):
    """A whole spec, which remembers where it was read."""

    _origin: Origin | None = PrivateAttr(default=None)
