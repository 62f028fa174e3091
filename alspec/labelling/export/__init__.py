"""Hand-overs: a batch written as an annotation tool reads it."""
