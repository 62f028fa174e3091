"""`python -m alspec` is `alspec`."""

from alspec.cli.main import main

main()
