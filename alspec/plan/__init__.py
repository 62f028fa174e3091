"""A `Study` to a `Plan`: the whole DAG of steps, pure, before anything runs."""
