"""What each kind of step does; the only callers of the model code."""
