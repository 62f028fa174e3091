"""Who else may write in a store: warned of, refused, or shared by a group and well."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from fakes.trainer import results_of, run_study, tiny_plan

from alspec.errors import ExitCode, InputError
from alspec.store.permissions import check_owners

ME, GROUP = 4321, 8765
PARTS = ("", "recipes", "leases", "drafts", "checkpoints", "retention", "checked")
"""What a run believes; written down here again, so that none is lost."""

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
as_root = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away"
)


@pytest.fixture
def store(tmp_path):
    root = tmp_path / ".store"
    for part in PARTS:
        (root / part).mkdir()
        (root / part).chmod(0o755)
    return root


@pytest.fixture
def me(monkeypatch):
    """Become somebody: to them the store's files are another's."""

    def become(user, *groups):
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(os, "getegid", lambda: GROUP)
        monkeypatch.setattr(os, "getgroups", lambda: list(groups))

    return become


def test_a_store_of_ones_own_is_fine(store):
    assert list(check_owners(store)) == []
    assert list(check_owners(store / "not there")) == []


def test_a_file_in_the_stores_place_is_for_others_to_tell(tmp_path):
    (tmp_path / ".store").write_text("")
    assert list(check_owners(tmp_path / ".store")) == []


@pytest.mark.parametrize("part", PARTS)
def test_ones_own_folder_that_everybody_can_write_in_is_told(store, part):
    for mode in (0o777, 0o1777, 0o702):
        (store / part).chmod(mode)
        (told,) = check_owners(store)
        assert f"chmod -R o-w {store / part}" in told


@as_root
@pytest.mark.parametrize("part", PARTS)
def test_anothers_folder_that_everybody_can_write_in_is_refused(store, part, me):
    me(ME)
    os.chown(store / part, ME + 1, GROUP + 1)
    (store / part).chmod(0o777)
    with pytest.raises(InputError, match=r"belongs to user 4322, and everybody"):
        list(check_owners(store))


@as_root
def test_anothers_folder_is_told_unless_a_group_shares_it(store, me):
    os.chown(store, ME + 1, GROUP + 1)
    store.chmod(0o2775)
    me(ME)
    (told,) = check_owners(store)
    assert "belongs to user 4322" in told
    me(ME, GROUP + 1)
    assert list(check_owners(store)) == []
    store.chmod(0o2755)
    assert len(list(check_owners(store))) == 1
    me(ME + 1)
    assert list(check_owners(store)) == []


@as_root
def test_roots_folder_is_no_strangers(store, me):
    me(ME)
    assert list(check_owners(store)) == []


@as_root
@pytest.mark.parametrize("command", [("run", "study.yaml"), ("work", "a" * 64)])
def test_commands_refuse_a_trap(cli, tmp_path, monkeypatch, toy_spec, command):
    import yaml

    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(yaml.safe_dump(toy_spec))
    trap = Path("work_dirs/.store")
    trap.mkdir(parents=True)
    os.chown(trap, ME, GROUP)
    trap.chmod(0o777)
    code, out, err = cli(*command)
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert "cannot be trusted" in err
    assert list(trap.iterdir()) == []


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_people_of_one_group_share_a_store(tmp_path):
    """Two people run one study each, of common steps, in a store that belongs to a third."""
    plans = [tiny_plan(), tiny_plan(study="other", methods=["random", "coreset"], keep="all")]
    for plan in plans:  # this loads what the others, who may not read our Python, would load
        run_study(tmp_path, plan)
        list(check_owners(tmp_path / ".store"))
    work_dir = Path(tempfile.mkdtemp(prefix="alspec-shared-"))
    try:
        for folder in (work_dir, work_dir / ".store"):
            folder.mkdir(exist_ok=True)
            os.chown(folder, ME, GROUP)
            folder.chmod(0o2775)
        for person, plan in enumerate([*plans, plans[0]], start=1):
            assert _as_person(ME + person, lambda plan=plan: _runs(work_dir, plan)) == 0
        for plan in plans:
            assert results_of(work_dir, plan) == results_of(tmp_path, plan)
    finally:
        shutil.rmtree(work_dir)


def _runs(work_dir, plan):
    assert list(check_owners(work_dir / ".store")) == []
    summary, told = run_study(work_dir, plan)
    assert not summary.failed
    assert not told


def _as_person(user, work):
    fork = os.fork()
    if fork == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o002)
            work()
            code = 0
        except BaseException as err:  # noqa: BLE001 - a fork must end here
            print(repr(err), file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
