"""Every kind of step on a real store: a toy study performed in the order of its plan."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.performed_steps import CPU, METHODS, SIZE, Performed, study

from alspec.datasets.base import IGNORE, Split
from alspec.errors import StepFailed
from alspec.plan.expand import expand
from alspec.plan.kinds import POOL
from alspec.plan.step import Step
from alspec.steps import evaluate
from alspec.steps.train import load_trained


def test_the_pool_is_listed_in_time_order(performed: Performed) -> None:
    expected = [f"pool/seq{sequence:02d}/{frame:06d}" for sequence in (0, 1) for frame in range(6)]
    assert performed.pool_ids() == expected
    told = performed.store.read_json(performed.plan.settings[0].pool_step, "pool.json")
    assert (told["images"], told["sequences"]) == (12, 2)


@pytest.mark.parametrize("method", METHODS)
def test_labelled_sets_grow_by_exact_counts_and_never_repeat(
    performed: Performed, method: str
) -> None:
    first, second = performed.run_of(method, dropout=method == "bald").sets
    initial, grown = performed.labelled(first.acquire), performed.labelled(second.acquire)
    assert len(initial) == first.labelled_images == 3
    assert len(grown) == second.labelled_images == 5
    assert grown[:3] == initial
    assert len(set(grown)) == 5
    assert set(grown) <= set(performed.pool_ids())
    assert second.acquire
    assert performed.store.read_lines(second.acquire, "selected.txt") == grown[3:]


def test_every_method_but_uniform_starts_from_the_same_images(performed: Performed) -> None:
    initial = {
        tuple(performed.labelled(run.sets[0].acquire))
        for run in performed.plan.runs
        if run.sets[0].acquire and run.method != "uniform"
    }
    assert len(initial) == 1


def test_methods_do_not_all_choose_alike(performed: Performed) -> None:
    chosen = {
        tuple(performed.labelled(performed.run_of(m, m == "bald").sets[1].acquire)) for m in METHODS
    }
    assert len(chosen) >= 4


def test_a_full_baseline_trains_on_the_whole_pool(performed: Performed) -> None:
    told = performed.store.read_json(performed.run_of("full").sets[0].train, "train.json")
    assert told["labelled_images"] == 12
    assert told["iterations"] == 18


@pytest.mark.parametrize("method", ["entropy", "equal", "bald"])
def test_the_highest_scores_are_chosen_of_all_that_is_unlabelled(
    performed: Performed, method: str
) -> None:
    first, second = performed.run_of(method, dropout=method == "bald").sets
    assert second.acquire
    with performed.store.file(second.acquire, "scores.csv").open(newline="") as file:
        scores = {row["id"]: float(row["score"]) for row in csv.DictReader(file)}
    initial = performed.labelled(first.acquire)
    assert scores.keys() == set(performed.pool_ids()) - set(initial)
    best = sorted(scores, key=lambda image: (-scores[image], image))[:2]
    assert performed.labelled(second.acquire)[3:] == best
    assert len(set(scores.values())) > 5


def test_confusion_is_counted_pixel_by_pixel(performed: Performed) -> None:
    chosen = performed.run_of("entropy").sets[1]
    step = performed.plan.steps[chosen.evaluate]
    dataset = performed.work(step, Path()).dataset()
    segmentor = load_trained(performed.store, chosen.train, CPU)
    expected = np.zeros((19, 19), dtype=np.int64)
    for frame in dataset.frames(Split.VAL):
        pixels = torch.from_numpy(dataset.read_image(frame.id)).permute(2, 0, 1)
        inputs = segmentor.data_preprocessor({"inputs": [pixels]}, False)["inputs"]
        with torch.inference_mode():
            logits = segmentor.encode_decode(inputs, [{"img_shape": SIZE}])
        predicted = logits[0].argmax(dim=0).numpy()
        truth = dataset.read_mask(frame.id)
        for row, column in np.argwhere(truth != IGNORE):
            expected[truth[row, column], predicted[row, column]] += 1
    confusion = performed.store.read_array(chosen.evaluate, "confusion.npy")
    assert confusion.dtype == np.int64
    assert confusion.sum() == 3 * 32 * 48
    assert np.abs(confusion - expected).sum() <= 4, "but for ties in float32"
    assert performed.store.read_json(chosen.evaluate, "evaluate.json")["classes"] == list(
        dataset.classes
    )


def test_weights_come_back_as_trained(performed: Performed, tmp_path: Path) -> None:
    key = performed.run_of("bald", dropout=True).sets[0].train
    segmentor = load_trained(performed.store, key, CPU)
    assert not any(module.training for module in segmentor.modules())
    with performed.store.file(key, "epochs.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    assert [epoch["epoch"] for epoch in epochs] == ["1", "2", "3"]
    assert all(float(epoch["loss"]) > 0 for epoch in epochs)


def test_a_step_done_twice_gives_the_same_bytes(performed: Performed, tmp_path: Path) -> None:
    chosen = performed.run_of("bald", dropout=True).sets
    again = Performed(tmp_path / "again", performed.plan)
    wanted = {performed.plan.settings[0].pool_step, chosen[0].acquire, chosen[0].train}
    for step in performed.plan.in_order():
        if step.key in wanted | {chosen[1].acquire, chosen[0].evaluate}:
            again.perform(step)
    for key, name in (
        (chosen[0].train, "weights.safetensors"),
        (chosen[0].train, "epochs.csv"),
        (chosen[1].acquire, "scores.csv"),
        (chosen[0].evaluate, "confusion.npy"),
    ):
        assert key
        assert again.store.artifacts(key)[name] == performed.store.artifacts(key)[name], name


def test_progress_ends_at_the_total(performed: Performed) -> None:
    assert performed.progress
    assert all(0 < count <= total for count, total in performed.progress)


def test_s4gan_steps_log_the_discriminator(tmp_path: Path) -> None:
    plan = expand(study(methods=["random"], ssl=[True], baselines=[]))
    own = Performed(tmp_path, plan)
    labelled = plan.runs[0].sets[0]
    for step in plan.in_order():
        if step.key in {plan.settings[0].pool_step, labelled.acquire, labelled.train}:
            own.perform(step)
    with own.store.file(labelled.train, "epochs.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    assert len(epochs) == 3
    for epoch in epochs:
        assert 0 <= float(epoch["accepted"]) <= 1
        assert 0 < float(epoch["score_real"]) < 1
        assert 0 < float(epoch["score_fake"]) < 1


def test_a_pool_whose_files_changed_since_the_plan_fails(tmp_path: Path) -> None:
    plan = expand(study())
    (step,) = [step for step in plan.in_order() if step.kind is POOL]
    params = {**step.params, "dataset": {**step.params["dataset"], "fingerprint": "0" * 64}}
    changed = Step(step.kind, params, step.inputs, step.local_paths, step.label)
    own = Performed(tmp_path, plan)
    with pytest.raises(StepFailed, match="changed since the study was planned"):
        own.perform(changed)
    assert not own.store.is_done(changed.key)


def test_predictions_that_are_not_finite_fail_the_evaluation(
    performed: Performed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = performed.run_of("entropy").sets[0]

    def broken(*args: Any) -> Any:
        segmentor = load_trained(*args)
        segmentor.decode_head.conv_seg.weight.data.fill_(float("nan"))
        return segmentor

    monkeypatch.setattr("alspec.steps.evaluate.load_trained", broken)
    with pytest.raises(StepFailed, match="not finite"):
        evaluate.perform(performed.work(performed.plan.steps[chosen.evaluate], tmp_path))
