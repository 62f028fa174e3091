"""Workloads of steps, seconds from paces, and the simulated run over slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alspec.plan.cost.priority import step_costs
from alspec.plan.cost.schedule import longest_chain, makespan, schedule
from alspec.plan.cost.time import (
    END_SECONDS,
    START_SECONDS,
    STEP_SECONDS,
    Pace,
    step_seconds,
    wall_seconds,
)
from alspec.plan.cost.workload import workloads
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.plan.kinds import ACQUIRE
from alspec.plan.kinds.record import FORWARD_FACTOR
from alspec.plan.kinds.train import SSL_FACTOR, training_images
from alspec.plan.step import Step
from alspec.spec.model import Training

AROUND = START_SECONDS + END_SECONDS


def chain(*lengths):
    """A plan of bare steps: one chain of steps for each length, and their keys, chain by chain."""
    steps, chains = {}, []
    for number, length in enumerate(lengths):
        keys = []
        for place in range(length):
            inputs = {"train": keys[-1]} if keys else {}
            step = Step(ACQUIRE, {"chain": number, "place": place}, inputs)
            steps[step.key] = step
            keys.append(step.key)
        chains.append(keys)
    return Plan(None, steps, (), ()), chains


def wall(plan, seconds, slots, todo=None):
    return wall_seconds(plan, seconds, plan.steps if todo is None else todo, slots)


def test_a_chain_takes_the_sum_on_any_number_of_slots():
    plan, ((a, b, c),) = chain(3)
    seconds = {a: 1.0, b: 20.0, c: 300.0}
    for slots in (1, 2, 8):
        assert wall(plan, seconds, slots) == pytest.approx(AROUND + 321 + 3 * STEP_SECONDS)


def test_independent_steps_share_the_slots():
    plan, chains = chain(1, 1, 1, 1)
    seconds = {keys[0]: 10.0 for keys in chains}
    for slots, rounds in ((1, 4), (2, 2), (3, 2), (4, 1), (9, 1)):
        assert wall(plan, seconds, slots) == pytest.approx(AROUND + rounds * (10 + STEP_SECONDS))


def test_the_longest_chain_goes_first():
    """2 slots, a chain of 3 x 10 s and three steps of 10 s: 30 s where the chain begins at once."""
    plan, chains = chain(1, 1, 1, 3)
    seconds = {key: 10.0 for keys in chains for key in keys}
    assert wall(plan, seconds, 2) == pytest.approx(AROUND + 3 * (10 + STEP_SECONDS))


def test_what_is_done_takes_no_time():
    plan, ((a, b, c),) = chain(3)
    seconds = {a: 1.0, b: 20.0, c: 300.0}
    assert wall(plan, seconds, 2, todo={b: None}) == pytest.approx(AROUND + 20 + STEP_SECONDS)
    assert wall(plan, seconds, 2, todo=()) == 0


@given(st.lists(st.lists(st.floats(0, 1e4), min_size=1, max_size=6), min_size=1, max_size=6),
       st.integers(1, 5))  # fmt: skip
def test_a_simulated_run_stays_within_its_bounds(times, slots):
    plan, chains = chain(*map(len, times))
    keys = [key for each in chains for key in each]
    seconds = dict(zip(keys, (s for row in times for s in row), strict=True))
    own = {key: s + STEP_SECONDS for key, s in seconds.items()}
    took = wall(plan, seconds, slots) - AROUND
    longest = max(sum(own[key] for key in keys) for keys in chains)
    least = max(longest, sum(own.values()) / slots)
    assert least - 1e-6 <= took <= sum(own.values()) / slots + longest + 1e-6


def test_workloads_count_images(toy_study):
    plan = expand(toy_study(methods=["random", "entropy"], ssl=[False], seeds=[0]))
    loads = workloads(plan)
    entropy = next(run for run in plan.runs if run.method == "entropy")
    first, second = entropy.sets
    assert [loads[s.train].images for s in entropy.sets] == [4, 8]  # an epoch of 4, of 8
    assert loads[first.evaluate].images == 5
    assert loads[second.acquire].images == 20
    assert loads[first.acquire].images == 0  # the initial draw runs no model
    assert loads[plan.settings[0].pool_step].images == 0


def test_a_training_takes_whole_batches_and_at_least_one():
    training = Training(epochs=1, batch_size=4)
    assert [training_images(n, training) for n in (1, 4, 6, 7, 40)] == [4, 4, 8, 8, 40]


@pytest.mark.parametrize(
    ("same", "changes"),
    [
        (True, {"seeds": [7]}),
        (True, {"training": {"epochs": 9, "batch_size": 4, "lr": 1.0}}),
        (True, {"budgets": ["10-10"]}),
        (False, {"training": {"epochs": 1, "batch_size": 2, "lr": 0.01}}),
        (False, {"training": {"epochs": 1, "batch_size": 4, "lr": 0.01, "crop": [16, 16]}}),
        (False, {"model": "deeplabv3plus_small"}),
        (False, {"ssl": [True]}),
    ],
)
def test_what_makes_trainings_alike(toy_study, same, changes):
    def like(**spec):
        plan = expand(toy_study(**{"ssl": [False], **spec}))
        return workloads(plan)[plan.runs[0].sets[0].train].timing_key

    assert (like() == like(**changes)) is same


@pytest.fixture
def plan(toy_study):
    return expand(toy_study(methods=["random", "entropy", {"name": "bald", "passes": 10}]))


def test_seconds_are_images_times_the_pace_of_their_like(plan):
    loads = workloads(plan)
    likes = sorted({load.timing_key for load in loads.values()})
    paces = {like: Pace(1.0 + place, 1) for place, like in enumerate(likes)}
    seconds = step_seconds(loads, paces)
    for key, load in loads.items():
        expected = load.images * paces[load.timing_key].seconds_per_image if load.images else 0
        assert seconds[key] == pytest.approx(expected)


def test_from_one_training_the_rest_is_told_by_rule_of_thumb(plan):
    loads = workloads(plan)
    by_arm = {
        run.ssl: run.sets[0] for run in plan.runs if not run.mc_dropout and run.family != "full"
    }
    supervised, ssl = by_arm[False], by_arm[True]
    seconds = step_seconds(loads, {loads[supervised.train].timing_key: Pace(2.0, 1)})
    assert seconds[supervised.train] == 2.0 * 4
    assert seconds[ssl.train] == pytest.approx(2.0 * 4 * SSL_FACTOR)
    assert seconds[supervised.evaluate] == pytest.approx(2.0 * 5 * FORWARD_FACTOR)
    scoring = {
        loads[supervised.evaluate].timing_key: Pace(3.0, 1),
        loads[supervised.train].timing_key: Pace(2.0, 1),
    }
    entropy = next(run for run in plan.runs if run.method == "entropy")
    assert step_seconds(loads, scoring)[entropy.sets[1].acquire] == pytest.approx(3.0 * 20)


def test_nothing_measured_is_not_known(plan, toy_study):
    loads = workloads(plan)
    assert step_seconds(loads, {}) is None
    other = workloads(expand(toy_study(model="deeplabv3plus_small")))
    assert (
        step_seconds(
            loads, {load.timing_key: Pace(1.0, 1) for load in other.values() if load.images}
        )
        is None
    )
    assert set(step_costs(plan)) == set(plan.steps)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.data())
def test_the_longest_chain_bounds_every_number_of_slots(lengths, data):
    plan, chains = chain(*lengths)
    costs = {key: data.draw(st.floats(0.5, 9)) for keys in chains for key in keys}
    todo = frozenset(plan.steps)
    found = longest_chain(plan, costs, todo)
    assert sum(costs[key] for key in found) == max(sum(costs[k] for k in keys) for keys in chains)
    assert list(found) in chains
    many = makespan(plan, costs, todo, len(plan.steps))
    assert many == pytest.approx(sum(costs[key] for key in found))
    assert makespan(plan, costs, todo, 1) == pytest.approx(sum(costs.values()))
    assert longest_chain(plan, costs, frozenset()) == ()


def test_a_training_on_several_devices_takes_its_slots_and_waits_for_them(toy_study):
    plan = expand(toy_study(execution={"devices": 2}, methods=["random"], ssl=[False]))
    costs = dict.fromkeys(plan.steps, 1.0)
    wide = [step for step in plan.steps.values() if step.devices == 2]
    for slots in (2, 3, 4):
        free = slots
        for moment in schedule(plan, costs, frozenset(plan.steps), slots):
            free += moment.step.devices if moment.ends else -moment.step.devices
            assert 0 <= free <= slots
    assert makespan(plan, costs, frozenset(plan.steps), 2) >= len(wide)
    assert makespan(plan, costs, frozenset(plan.steps), 1) > 0, "a plan of a smaller machine"
    factors = {load.factor for load in workloads(plan).values() if load.trains}
    assert factors == {0.5}
