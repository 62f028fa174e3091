from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.errors import InputError
from alspec.plan.cost.priority import remaining_cost, step_costs
from alspec.plan.expand import expand
from alspec.plan.graph import mermaid
from alspec.plan.kinds import EVALUATE, TRAIN
from alspec.plan.step import Step, seed_of
from alspec.plan.summary import as_data, step_rows
from alspec.spec.model import Study

METHODS = ("random", "uniform", "entropy", "equal", "bald", "coreset")


def toy(name, **changes):
    return {
        "name": name, "kind": "toy", "image_size": [16, 16], "sequences": 2, "frames": 10,
        "val_sequences": 1, "val_frames": 2, **changes,
    }  # fmt: skip


@st.composite
def studies(draw):
    """Small studies of every shape that the planner tells apart."""
    datasets = [toy(f"d{n}", seed=n) for n in range(draw(st.integers(1, 2)))]
    budgets = draw(st.lists(st.sampled_from(["10-10", "20-20", "10-20"]), min_size=1, unique=True))
    subset = st.lists(st.sampled_from(METHODS), min_size=1, max_size=3, unique=True)
    return {
        "study": "made",
        "datasets": datasets,
        "budgets": budgets,
        "methods": draw(subset),
        "ssl": draw(st.sampled_from([[False], [True], [False, True]])),
        "baselines": draw(st.sampled_from([[], ["full"]])),
        "seeds": draw(st.sampled_from([[0], [3, 1]])),
        "model": "deeplabv3plus_tiny",
    }


def plan_of(data):
    return expand(Study.model_validate(data))


few = settings(derandomize=True, max_examples=25, deadline=None)


@few
@given(studies())
def test_every_step_stands_after_its_inputs_and_has_a_use(data):
    plan = plan_of(data)
    seen = set()
    for step in plan.in_order():
        assert set(step.inputs.values()) <= seen
        assert step.key not in seen
        seen.add(step.key)
    used = {key for run in plan.runs for s in run.sets for key in (s.acquire, s.train, s.evaluate)}
    used |= {setting.pool_step for setting in plan.settings}
    assert used - {None} == seen == set(plan.steps)


@few
@given(studies())
def test_counts_are_consistent(data):
    plan = plan_of(data)
    told = as_data(plan, ())
    kinds = Counter(step.kind for step in plan.in_order())
    sets = [labelled for run in plan.runs for labelled in run.sets]
    assert told["trainings"] == kinds[TRAIN] == len({s.train for s in sets})
    assert told["trainings_unshared"] == len(sets) >= told["trainings"]
    assert kinds[EVALUATE] == kinds[TRAIN]
    assert told["steps"] == sum(kinds.values()) == sum(row[1] for row in step_rows(plan, ()))
    assert told["runs"] == len(plan.runs) == len({run.name for run in plan.runs})


@few
@given(studies())
def test_an_arm_shares_its_first_cycle_and_seeds_share_nothing(data):
    plan = plan_of(data)
    first = {}
    for run in plan.runs:
        if run.method == "uniform":  # spreads its own first set
            assert "train" not in plan.steps[run.sets[0].acquire].inputs
        elif run.method != "full":
            where = (run.dataset, run.budget, run.ssl, run.mc_dropout, run.seed)
            assert first.setdefault(where, run.sets[0]) == run.sets[0]
    initial = {}
    for (dataset, budget, _, _, seed), labelled in first.items():
        assert initial.setdefault((dataset, budget, seed), labelled.acquire) == labelled.acquire
    by_seed = {}
    for run in plan.runs:
        by_seed.setdefault(run.seed, set()).update(labelled.train for labelled in run.sets)
    assert len(set().union(*by_seed.values())) == sum(map(len, by_seed.values()))


@few
@given(studies())
def test_only_methods_that_look_at_the_model_wait_for_it(data):
    plan = plan_of(data)
    for run in plan.runs:
        for before, labelled in zip(run.sets, run.sets[1:], strict=False):
            inputs = plan.steps[labelled.acquire].inputs
            assert inputs["labelled"] == before.acquire
            blind = run.method in ("random", "uniform")
            assert inputs.get("train") == (None if blind else before.train)


@few
@given(studies())
def test_labelled_counts_are_the_budgets(data):
    study = Study.model_validate(data)
    plan = expand(study)
    budgets = {budget.name: budget for budget in study.budgets}
    for run in plan.runs:
        counts = [labelled.labelled_images for labelled in run.sets]
        if run.method == "full":
            assert counts == [20]
            continue
        assert tuple(counts) == budgets[run.budget].labelled_images(20)
        for labelled in run.sets:
            assert plan.steps[labelled.acquire].params["images"] == labelled.labelled_images
            assert labelled.labelled_percent == pytest.approx(5 * labelled.labelled_images)


@few
@given(studies(), st.sampled_from(METHODS))
def test_one_more_method_or_seed_leaves_existing_steps_alone(data, method):
    steps = set(plan_of(data).steps)
    more_methods = {**data, "methods": [*data["methods"], {"name": method, "label": "more"}]}
    assert steps <= set(plan_of(more_methods).steps)
    assert steps <= set(plan_of({**data, "seeds": [9, *data["seeds"]]}).steps)


@few
@given(studies())
def test_full_is_trained_once_for_each_architecture_and_seed(data):
    plan = plan_of(data)
    full = [run for run in plan.runs if run.family == "full"]
    wanted = {run.mc_dropout for run in plan.runs if run.family != "full"}
    if "full" not in data["baselines"]:
        assert not full
        return
    assert {run.mc_dropout for run in full} == wanted
    assert not any(run.ssl for run in full)
    for dataset in {run.dataset for run in full}:
        trained = {run.sets[0].train for run in full if run.dataset == dataset}
        assert len(trained) == len(wanted) * len(data["seeds"])
    for run in full:
        assert "labelled" not in plan.steps[run.sets[0].train].inputs


def test_bald_brings_a_random_and_a_full_with_dropout(toy_study):
    plan = expand(toy_study(methods=["entropy", "bald"], ssl=[False]))
    assert [(run.method, run.mc_dropout) for run in plan.runs] == [
        ("entropy", False), ("random", True), ("bald", True), ("full", False), ("full", True),
    ]  # fmt: skip
    kept, dropout = plan.runs[0].sets[0], plan.runs[1].sets[0]
    assert kept.acquire == dropout.acquire
    assert kept.train != dropout.train


def test_the_dropout_arms_random_is_the_users_own(toy_study):
    fifth = {"name": "random", "label": "chance", "candidates": {"every": 2}}
    plan = expand(toy_study(methods=[fifth, "bald"], ssl=[False], baselines=[]))
    assert [(run.method, run.mc_dropout) for run in plan.runs] == [
        ("chance", False), ("chance", True), ("bald", True),
    ]  # fmt: skip
    first, second = plan.runs[0].sets, plan.runs[1].sets
    assert [s.acquire for s in first] == [s.acquire for s in second]


def test_uniform_has_an_initial_set_of_its_own_for_all_arms(toy_study):
    plan = expand(toy_study(methods=["entropy", "uniform"], ssl=[False, True], baselines=[]))
    starts = {run.name: plan.steps[run.sets[0].acquire] for run in plan.runs}
    own = {step.key for name, step in starts.items() if "uniform" in name}
    others = {step.key for name, step in starts.items() if "uniform" not in name}
    assert (len(own), len(others), own & others) == (1, 1, set())
    (first,) = (plan.steps[key] for key in own)
    assert first.params["method"] == "uniform"
    assert set(first.inputs) == {"pool"}


def test_candidates_are_the_whole_pool_of_their_method(toy_study):
    filtered = {"name": "entropy", "label": "some", "candidates": {"every": 2}}
    study = toy_study(methods=["entropy", filtered], budgets=["10-10"], ssl=[True], baselines=[])
    plan = expand(study)
    whole, some = (next(r for r in plan.runs if r.method == m) for m in ("entropy", "some"))
    pools = {}
    for name, run in (("whole", whole), ("some", some)):
        steps = [plan.steps[key] for s in run.sets for key in (s.acquire, s.train)]
        (pools[name],) = {step.inputs["pool"] for step in steps}
        assert all(not step.params.get("candidates") for step in steps)
    assert plan.steps[pools["some"]].params["candidates"] == {"every": 2}
    assert "candidates" not in plan.steps[pools["whole"]].params
    assert [s.labelled_percent for s in some.sets] == [s.labelled_percent for s in whole.sets]


def test_only_bald_means_no_full_without_dropout(toy_study):
    plan = expand(toy_study(methods=["bald"], ssl=[True]))
    assert {(run.method, run.mc_dropout, run.ssl) for run in plan.runs} == {
        ("random", True, True), ("bald", True, True), ("full", True, False),
    }  # fmt: skip


def test_a_dataset_with_budgets_of_its_own(toy_study):
    own = toy("own", budgets=[{"name": "half", "initial": 50, "step": 1, "cycles": 1}])
    plan = expand(toy_study(datasets=[toy("plain"), own], budgets=["10-10"]))
    assert [(s.dataset, s.budget, s.labelled_images) for s in plan.settings] == [
        ("plain", "10-10", (2, 4, 6, 8, 10)), ("own", "half", (10,)),
    ]  # fmt: skip


def problems_of(study):
    with pytest.raises(InputError) as caught:
        expand(study)
    return {problem.loc: problem.what for problem in caught.value.problems}


def test_budgets_that_a_pool_cannot_fill_are_all_told_at_their_place(toy_study):
    images = {"unit": "images", "cycles": 3}
    found = problems_of(
        toy_study(
            datasets=[toy("a"), toy("b", budgets=[{"name": "c", "initial": 1, "step": 1}])],
            budgets=[
                {"name": "much", "initial": 10, "step": 10, **images},
                {"name": "crumbs", "initial": 1, "step": 1},
                {"name": "fits", "initial": 10, "step": 5, **images},
            ],
        )
    )
    assert set(found) == {("budgets", 0), ("budgets", 1), ("datasets", 1, "budgets", 0)}
    assert "30 labelled images" in found["budgets", 0]
    assert "has 20" in found["budgets", 0]
    assert "at least one" in found["budgets", 1]


def test_too_few_candidates(toy_study):
    method = {"name": "entropy", "candidates": {"every": 5}}
    found = problems_of(toy_study(methods=["random", method]))
    assert list(found) == [("methods", 1, "candidates")]
    assert "has 4 candidates" in found["methods", 1, "candidates"]


@pytest.mark.parametrize("label", ["full", "Full", "random"])
def test_labels_of_baselines_are_refused(toy_study, label):
    methods = [{"name": "entropy", "label": label}]
    assert list(problems_of(toy_study(methods=methods))) == [("methods", 0, "label")]


def test_random_may_be_called_random(toy_study):
    expand(toy_study(methods=[{"name": "random", "label": "random"}]))


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        (
            {
                "datasets": [toy("a_b"), toy("a")],
                "budgets": [
                    {"name": "c", "initial": 10, "step": 10, "cycles": 1},
                    {"name": "b_c", "initial": 20, "step": 10, "cycles": 1},
                ],
            },
            "datasets",
        ),
        ({"datasets": [toy("a"), toy("A")]}, "datasets"),
        ({"methods": ["entropy", {"name": "random", "label": "entropy-ssl"}]}, "methods"),
        ({"methods": ["entropy", {"name": "random", "label": "Entropy"}]}, "methods"),
    ],
)
def test_names_that_would_share_a_file_are_refused(toy_study, changes, loc):
    found = problems_of(toy_study(**changes))
    assert list(found) == [(loc,)]
    assert "Rename one" in found[loc,]


def test_problems_of_model_data_and_labels_come_together(toy_study, tmp_path):
    found = problems_of(
        toy_study(
            datasets=[toy("d", redundancy={"kind": "list", "path": str(tmp_path / "no.txt")})],
            pretrained=str(tmp_path / "none.pth"),
            model={"config": "no/such/config.py", "checkpoint": str(tmp_path / "none")},
            methods=[{"name": "entropy", "label": "full"}],
        )
    )
    assert set(found) == {
        ("datasets", 0, "redundancy", "path"), ("pretrained",), ("model", "config"),
        ("model", "checkpoint"), ("methods", 0, "label"),
    }  # fmt: skip


def test_a_long_chain_comes_before_a_short_one(toy_study):
    plan = expand(toy_study(methods=["random", "entropy"], ssl=[True], baselines=[]))
    left = remaining_cost(plan)
    costs = step_costs(plan)
    for step in plan.in_order():
        for source in step.inputs.values():
            assert left[source] >= costs[source] + left[step.key]
    looked_at = plan.runs[1].sets[1].acquire
    assert left[looked_at] > left[plan.runs[1].sets[1].train]


def test_the_graph_names_every_step_and_edge(toy_study):
    plan = expand(toy_study())
    done = next(iter(plan.steps))
    lines = mermaid(plan, {done}).splitlines()
    assert sum("-->" in line for line in lines) == sum(len(s.inputs) for s in plan.in_order())
    assert [line.strip()[1:13] for line in lines if line.endswith(":::done")] == [done[:12]]


def test_a_step_survives_json():
    step = Step(TRAIN, {"a": (1, 2.5)}, {"pool": "f" * 64}, {"root": "/x"}, "words")
    again = Step.from_json(step.to_json())
    assert again.key == step.key
    assert again.label == "words"
    assert len(step.key) == 64


def test_each_role_has_a_seed_of_its_own():
    seeds = {seed_of(key, role) for key in ("a", "b") for role in ("init", "order")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
