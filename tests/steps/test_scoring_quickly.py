"""What the steps do for speed changes no count, and scoring keeps to the training's precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.performed_steps import Performed

from alspec.datasets.base import IGNORE
from alspec.steps import acquire, evaluate, pool_outputs


def test_the_confusion_counts_the_first_of_equal_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(0, 3, (2, 5, 12, 17), generator=generator).float()
    truth = torch.randint(0, 5, (2, 12, 17), generator=generator).to(torch.uint8)
    truth[:, :3] = IGNORE
    expected = np.zeros((5, 5), dtype=np.int64)
    predicted = logits.numpy().argmax(axis=1)
    valid = truth.numpy() != IGNORE
    np.add.at(expected, (truth.numpy()[valid], predicted[valid]), 1)
    counted = evaluate.confusions_of(logits.split(1), truth, 5).sum(dim=0)
    assert counted.dtype == torch.int64
    np.testing.assert_array_equal(counted.numpy().reshape(5, 5), expected)


@pytest.mark.parametrize(("precision", "expected"), [("bfloat16", True), ("auto", False)])
def test_scoring_computes_in_the_training_s_precision(
    performed: Performed,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    precision: str,
    expected: bool,
) -> None:
    asked: list[bool] = []
    plain = pool_outputs.outputs_of

    def noting(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs["bfloat16"])
        return plain(*args, **kwargs)

    read = type(performed.store).read_json

    def told(store: Any, key: str, name: str) -> Any:
        found = read(store, key, name)
        return {**found, "precision": precision} if name == "model.json" else found

    monkeypatch.setattr(pool_outputs, "outputs_of", noting)
    monkeypatch.setattr(type(performed.store), "read_json", told)
    key = performed.run_of("entropy").sets[1].acquire
    assert key
    acquire.perform(performed.work(performed.plan.steps[key], tmp_path))
    assert set(asked) == {expected}
