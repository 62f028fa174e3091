"""alspec tells which images to label for semantic segmentation, and proves it."""

__version__ = "0.1.0"
