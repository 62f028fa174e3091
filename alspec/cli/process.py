"""The process of a command: its streams, its signals, and errors as text and exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from alspec.errors import AlspecError, ExitCode, InputError, Interrupted
from alspec.system.interpreter import forget_current_folder
from alspec.system.printable import ERRORS, register_plain_output


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process as the contract says: alspec's errors without a traceback, with their code.

    Signals that ask for an end are raised as `Interrupted` in the block.
    """
    forget_current_folder()
    prepare_streams()
    for name in ("SIGTERM", "SIGUSR1", "SIGHUP"):  # Windows has no SIGUSR1
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        yield
    except AlspecError as error:
        from alspec.cli import console

        console.say_error(error)
        sys.exit(error.exit_code)
    except OSError as error:  # a folder that may not be read, output that is full or closed
        from alspec.cli import console
        from alspec.system.atomic import describe_os_error

        console.say_error(InputError.at(error.filename or "output", describe_os_error(error)))
        _close_output()
        sys.exit(ExitCode.BAD_INPUT)
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != ExitCode.CTRL_C:
            raise
        from alspec.cli import console

        console.say_error(Interrupted("stopped by Ctrl-C; run the same command again to continue"))
        sys.exit(ExitCode.CTRL_C)


def _close_output() -> None:
    """Have Python not try again to write what standard output did not take."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Have signs and names come out in any locale; typer's own output as well."""
    register_plain_output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _interrupt(number: int, _frame: object) -> None:
    name = signal.Signals(number).name
    raise Interrupted(f"stopped by {name}; run the same command again to continue")
