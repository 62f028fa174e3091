"""A plan to a finished store."""
