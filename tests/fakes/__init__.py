"""Stands in for trainers, executors and machines; conforms to their protocols."""
