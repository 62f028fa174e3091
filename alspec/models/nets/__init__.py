"""Segmentors built through MMSegmentation, and their weights."""
