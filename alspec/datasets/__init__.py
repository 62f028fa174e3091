"""Datasets: image ids in time order, classes, splits, pixels and labels."""
