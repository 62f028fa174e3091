"""Starts Python processes of alspec's own that import only what is installed.

Neither the caller's current folder nor a `PYTHON*` variable of the caller decides what
such a process imports: a `cv2.py` beside somebody's spec stays a file. Flags that would do this
alone (`-P`, `PYTHONSAFEPATH`) came with Python 3.11; what is done here holds for 3.10 as well.
"""

from __future__ import annotations

import os
import site
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

MORE_FOLDERS = "ALSPEC_PYTHONPATH"
"""Environment variable: absolute folders that alspec's processes import from after everything that
is installed, separated as in `PYTHONPATH`. Of that they take, also at the end, only the folders in
which plugins are installed: the plan has found them there."""

_START = """\
import sys
sys.path[:] = [folder for folder in sys.path if folder not in ("", ".")] + {more!r}
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("alspec", {package!r})
sys.modules["alspec"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["alspec"])
{code}
"""
_RUN = 'import runpy; runpy.run_module({module!r}, run_name="__main__", alter_sys=True)'
"""`-c` puts the current folder first on the path; it is taken off before anything is imported, for
`sys` is built in. The package is the caller's own, wherever that was found."""


def python_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command that runs one of alspec's modules as `python -m` would; text is UTF-8 in it.

    Args:
        module: as `alspec.steps.try_models`.
        arguments: the module's own.
    """
    return [*python_code_command(_RUN.format(module=module)), *arguments]


def python_code_command(code: str) -> list[str]:
    """The command that runs code of alspec's own as `python -c` would, with the same care."""
    import alspec

    package = str(Path(str(alspec.__file__)).absolute())
    start = _START.format(more=_more_folders(), package=package, code=code)
    user_site = ["-s"] if sys.flags.no_user_site else []
    return [sys.executable, "-E", *user_site, "-X", "utf8", "-c", start]


def alspec_command(arguments: Sequence[str] = ()) -> list[str]:
    """The command that starts alspec itself, short enough to be read in a job script.

    Python's isolated mode keeps the current folder and `PYTHON*` away; where alspec or plugins lie
    in folders that this mode leaves out, the longer command does the same with them.

    Args:
        arguments: as after `alspec`.
    """
    import alspec

    package = Path(str(alspec.__file__)).absolute()
    users = site.ENABLE_USER_SITE and package.is_relative_to(site.getusersitepackages())
    if users or _more_folders():
        return python_command("alspec", arguments)
    return [sys.executable, "-I", "-m", "alspec", *arguments]


def python_environment() -> dict[str, str]:
    """This process's environment without the variables that Python itself would follow.

    A user without an entry in the system's list and without a home folder (in containers, of cron
    and Slurm) is given a name and a temporary home, which torch and matplotlib ask for.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    if hasattr(os, "getuid") and not _has_home(environment):
        home = Path(tempfile.gettempdir()) / f"alspec-home-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        about = home.lstat()
        if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):  # laid by another user
            home = Path(tempfile.mkdtemp(prefix="alspec-home-"))
        environment["HOME"] = str(home)
    if hasattr(os, "getuid") and not {"USER", "LOGNAME"} & environment.keys():
        environment["USER"] = environment["LOGNAME"] = f"user-{os.getuid()}"
    return environment


def _has_home(environment: Mapping[str, str]) -> bool:
    """Whether there is a home folder to write in."""
    home = environment.get("HOME")
    if home is None:
        try:
            home = str(Path.home())
        except (RuntimeError, KeyError):
            return False
    return os.access(home, os.W_OK | os.X_OK)


def forget_current_folder() -> None:
    """Take off this process's path what `python -m` and relative entries of `PYTHONPATH` put there.

    The folder that this package lies in goes to the end, for a clone that is not installed.
    """
    import alspec

    here = Path.cwd()
    home = str(Path(str(alspec.__file__)).absolute().parents[1])
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    wanted = {str(Path(entry)) for entry in named if Path(entry).is_absolute()}
    leading = {"", ".", str(here)} - wanted
    if any(entry in leading for entry in sys.path):
        sys.path[:] = [entry for entry in sys.path if entry not in leading]
        if home == str(here):
            sys.path.append(home)


def _more_folders() -> list[str]:
    named = os.environ.get(MORE_FOLDERS, "").split(os.pathsep)
    plugins = (entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return [entry for entry in named if Path(entry).is_absolute()] + [
        entry for entry in plugins if Path(entry).is_absolute() and _holds_plugins(Path(entry))
    ]


def _holds_plugins(folder: Path) -> bool:
    """Whether a package with plugins of alspec is installed in a folder, as `pip -t` does it."""
    for declared in folder.glob("*.*-info/entry_points.txt"):
        try:
            if "[alspec." in declared.read_text("utf-8", "replace"):
                return True
        except OSError:
            continue
    return False
