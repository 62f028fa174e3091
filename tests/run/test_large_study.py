"""A study of 10,000 steps on 100 pilots over one store, in simulated time."""

from __future__ import annotations

import json
import random
import resource
import time
from pathlib import Path
from statistics import mean

import pytest
from factories.toy import TOY
from fakes.simulated_pilots import Simulation

from alspec.plan.cost.schedule import makespan
from alspec.plan.expand import expand
from alspec.run.loop import LONGEST_PAUSE
from alspec.spec.model import Study
from alspec.store.leases import NETWORK_STALE_SECONDS

OPERATION_SECONDS = 0.002
SECONDS = {"pool": (60, 60), "train": (200, 900), "evaluate": (20, 60), "acquire": (30, 120)}


def study_of(seeds):
    """About 145 steps a seed."""
    return Study.model_validate(
        {
            **TOY,
            "methods": ["random", "entropy", "equal", "coreset", "bald"],
            "seeds": list(range(seeds)),
            "budgets": [{"name": "b", "initial": 10, "step": 10, "cycles": 5}],
        }
    )


def memory_now():
    """Of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def simulated(root, seeds, pilots, deaths):
    """What became of a study, in figures."""
    plan = expand(study_of(seeds))
    rng = random.Random(0)
    seconds = {key: rng.uniform(*SECONDS[plan.steps[key].kind.name]) for key in sorted(plan.steps)}
    memory: list[float] = []

    def note_memory():
        if sum(simulation.finished.values()) % 500 == 0:
            memory.append(memory_now())

    simulation = Simulation(root, plan, seconds, OPERATION_SECONDS, note_memory)
    ideal = makespan(plan, seconds, plan.steps.keys(), pilots)
    dying = [rng.uniform(0.1, 0.9) * ideal for _ in range(deaths)]
    for number in range(pilots):
        dies_at = dying[number] if number < deaths else None
        simulation.add(0.0, dies_at)
        if dies_at is not None:  # as a scheduler does
            simulation.add(dies_at + 120, None)
    began = time.process_time()
    simulation.run()
    begun = sorted((at, key) for pilot in simulation.pilots for key, at in pilot.began)
    total = max(at + seconds[key] for at, key in begun)
    looks = [look for pilot in simulation.pilots for look in pilot.looks]
    dead = [pilot for pilot in simulation.pilots if not pilot.alive and pilot.at_work]
    missed = []
    for pilot in dead:
        stale = pilot.dies_at + NETWORK_STALE_SECONDS + LONGEST_PAUSE
        again = min(at for at, key in begun if key == pilot.at_work[1] and at > pilot.dies_at)
        missed += [at for at, _ in looks if stale < at < again - LONGEST_PAUSE]
    return {
        "steps": len(plan.steps),
        "finished": len(simulation.finished),
        "finished_twice": sum(times > 1 for times in simulation.finished.values()),
        "killed_at_a_step": len(dead),
        "leases_lost_by_the_living": len(begun) - len(plan.steps) - len(dead),
        "dead_leases_passed_by": len(missed),
        "hours": total / 3600,
        "ideal_hours": ideal / 3600,
        "over_ideal_percent": 100 * (total / ideal - 1),
        "operations_a_step": sum(p.operations for p in simulation.pilots) / len(plan.steps),
        "processor_ms_a_step": 1000 * (time.process_time() - began) / len(plan.steps),
        "idle_looks": len(looks),
        "operations_an_idle_look": mean(operations for _, operations in looks),
        "operations_an_idle_look_most": max(operations for _, operations in looks),
        "memory_mb": [round(each) for each in memory],
    }


def test_no_pilot_does_what_another_does_and_none_waits_without_need(tmp_path):
    found = simulated(tmp_path / "store", seeds=2, pilots=10, deaths=2)
    check(found, pilots=10)


@pytest.mark.nightly
def test_ten_thousand_steps_on_a_hundred_pilots(tmp_path):
    found = simulated(tmp_path / "store", seeds=74, pilots=100, deaths=10)
    print(json.dumps(found, indent=1))
    check(found, pilots=100)
    assert found["steps"] >= 10_000
    early, late = found["memory_mb"][len(found["memory_mb"]) // 5], found["memory_mb"][-1]
    assert late - early < 100  # of a hundred pilots in one process: 1 MB each


def check(found, pilots):
    assert found["finished"] == found["steps"]
    for none in ("finished_twice", "leases_lost_by_the_living", "dead_leases_passed_by"):
        assert found[none] == 0, none
    assert found["killed_at_a_step"] > 0
    assert found["over_ideal_percent"] < 5
    assert found["operations_a_step"] < 20 * pilots
    assert found["operations_an_idle_look_most"] < 10 * pilots
