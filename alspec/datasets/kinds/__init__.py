"""The kinds of datasets, one file a kind."""
