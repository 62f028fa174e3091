"""A store to numbers."""
