"""`python -m alspec` is `alspec`."""

from alspec.system.interpreter import forget_current_folder

forget_current_folder()

from alspec.cli.main import main  # noqa: E402 - what it imports must not be the folder's

main()
