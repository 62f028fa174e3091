"""The walk over a document's blocks that all its renderers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from alspec.report.document import Block, Fold, Heading, Items, Paragraph, Picture, Table


class Renderer(ABC):
    """Shows each kind of block in one format."""

    def blocks(self, blocks: Sequence[Block]) -> Iterator[str]:
        """The blocks in their order."""
        return map(self.block, blocks)

    def block(self, block: Block) -> str:
        """One block."""
        match block:
            case Heading():
                return self.heading(block)
            case Paragraph():
                return self.paragraph(block)
            case Items():
                return self.items(block)
            case Table():
                return self.table(block)
            case Picture():
                return self.picture(block)
            case Fold():
                return self.fold(block)

    @abstractmethod
    def heading(self, block: Heading) -> str:
        """A title."""

    @abstractmethod
    def paragraph(self, block: Paragraph) -> str:
        """A few sentences."""

    @abstractmethod
    def items(self, block: Items) -> str:
        """A list."""

    @abstractmethod
    def table(self, block: Table) -> str:
        """A table."""

    @abstractmethod
    def picture(self, block: Picture) -> str:
        """A figure."""

    def fold(self, block: Fold) -> str:
        """Blocks that may stay closed; open where a format has no such thing."""
        return "\n\n".join(self.blocks((Paragraph(f"{block.summary}:"), *block.blocks)))
