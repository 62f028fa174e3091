"""The figures that a report shows: named while it is written, drawn when it is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alspec.report.document import Picture
from alspec.report.figures.style import Drawn


@dataclass
class Album:
    """Collects figures and how to draw them, so that a report's text costs no drawing."""

    _painters: dict[str, Callable[[], Mapping[str, bytes]]] = field(default_factory=dict)

    def figure(self, name: str, about: str, caption: str, draw: Callable[[], Drawn]) -> Picture:
        """A figure as SVG and PNG.

        Args:
            name: of its files below `figures/`, without suffix, unlike all others.
            about: what it shows, for those who do not see it.
            caption: how to read it.
            draw: draws it.
        """
        self._painters[name] = lambda: draw().files()
        return Picture(name, about, caption)

    def photo(self, name: str, about: str, caption: str, jpeg: bytes) -> Picture:
        """An image of pixels, already encoded as a JPEG without anything but its pixels."""
        self._painters[name] = lambda: {"jpg": jpeg}
        return Picture(name, about, caption, "jpg")

    def draw(self) -> dict[str, bytes]:
        """All figures, the bytes of each file by its name."""
        return {
            f"{name}.{suffix}": data
            for name, paint in self._painters.items()
            for suffix, data in paint().items()
        }
