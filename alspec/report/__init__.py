"""Numbers to reading matter."""
