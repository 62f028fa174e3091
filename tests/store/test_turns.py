"""What processes do one after another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from alspec.store import turns
from alspec.store.leases import Leases
from alspec.store.turns import own_turn


def test_one_is_in_the_block_at_a_time_and_the_others_know_that_they_waited(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    inside, most, waited = [], [], []
    all_wait = threading.Barrier(5)

    class Refused(Leases):
        """Meets the others when it is refused for the first time."""

        has_met = False

        def take(self, *given, **named):
            holder = super().take(*given, **named)
            if holder and not self.has_met:
                self.has_met = True
                all_wait.wait(60)
            return holder

    monkeypatch.setattr(turns, "Leases", Refused)

    def enter(number):
        with own_turn(tmp_path, "report") as late:
            inside.append(number)
            most.append(len(inside))
            waited.append(late)
            inside.remove(number)

    first = Leases(tmp_path)
    assert first.take("report") is None
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(enter, number) for number in range(4)]
        all_wait.wait(60)
        assert not most
        first.close()
        for each in done:
            each.result()
    assert most == [1] * 4
    assert waited == [True] * 4
    assert list(tmp_path.iterdir()) == []


def test_one_that_hangs_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    hanging = Leases(tmp_path)
    assert hanging.take("report") is None
    with own_turn(tmp_path, "report") as waited:
        assert waited
    assert hanging.listed().keys() == {"report"}
    hanging.close()
