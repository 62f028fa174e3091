"""`python -m alspec` is `alspec`."""

from alspec.cli import main

main()
