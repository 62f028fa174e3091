"""Street video rendered from a seed."""
