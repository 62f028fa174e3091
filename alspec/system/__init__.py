"""What the operating system gives: atomic files, processes, failpoints, provenance."""
