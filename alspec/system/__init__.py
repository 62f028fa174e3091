"""What the operating system gives: atomic files, processes, faults, provenance."""
