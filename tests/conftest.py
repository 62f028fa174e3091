"""Fixtures of many tests; its place puts this folder on the path, for the `made_...` modules."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys

import pytest

from alspec.models.nets import yapf_cache  # isort: skip  (mends imports of mmengine in tests)
from factories.toy import TOY

from alspec.spec.model import Study

__all__ = ["yapf_cache"]


@pytest.fixture(scope="session", autouse=True)
def _a_cache_of_its_own(tmp_path_factory):
    """No test reads what another session cached, and none writes into the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _signals_as_in_a_terminal():
    """Commands that tests start heed Ctrl-C and SIGHUP, also where pytest is in the background."""
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture
def toy_spec():
    """The plain data of a tiny study on drawn video, to change at will."""
    return copy.deepcopy(TOY)


@pytest.fixture
def toy_study(toy_spec):
    """Validates the tiny study with some of its keys replaced."""

    def validated(**changes):
        return Study.model_validate({**toy_spec, **changes})

    return validated


@pytest.fixture
def alspec(tmp_path):
    """Runs the installed command in a process of its own, in an empty folder."""

    def run(*arguments, timeout=120, env=None):
        environment = {**os.environ, **(env or {})}
        environment.pop("FORCE_COLOR", None)
        return subprocess.run(
            [sys.executable, "-m", "alspec", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def performed(tmp_path_factory):
    """A toy study with every step done: read it, and perform further steps elsewhere."""
    from factories.performed_steps import Performed, study

    from alspec.plan.expand import expand

    whole = Performed(tmp_path_factory.mktemp("store"), expand(study()))
    whole.perform_all()
    return whole


@pytest.fixture(scope="module")
def small_discriminator():
    """A discriminator of s4GAN that takes little time and disk, where its size shows nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alspec.models.training.s4gan.WIDTHS", (4, 8, 8, 8))
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Forks whole runs of a tiny study from one process that has everything loaded."""
    from fakes.trainer import Server

    one = Server(tmp_path_factory.mktemp("server"))
    yield one
    one.close()


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs a command in this process; its exit code, standard output and standard error."""
    from alspec.cli.main import main

    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["alspec", *map(str, arguments)])
        try:
            main()
        except SystemExit as err:
            code = int(err.code or 0)
        else:
            code = 0
        return (code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)
