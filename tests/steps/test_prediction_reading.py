"""What a prediction gives the model to see."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from alspec.steps import predict


@pytest.mark.parametrize(("bands", "seen"), [(None, (10, 20, 30)), ([3, 2, 1], (30, 20, 10))])
def test_bands_are_those_of_training(bands, seen, tmp_path, monkeypatch):
    images = []

    def predictor(*_):
        def predicted(image):
            images.append(image)
            return np.zeros(image.shape[:2], np.uint8), np.zeros(image.shape[:2], np.uint8)

        return predicted

    monkeypatch.setattr(predict, "Predictor", predictor)
    files = []
    for name in ("a", "b"):
        Image.new("RGB", (4, 2), (10, 20, 30)).save(tmp_path / f"{name}.png")
        files.append({"image": str(tmp_path / f"{name}.png"), "mask": str(tmp_path / name)})
    job = {
        "store": str(tmp_path / "store"), "train": "", "device": "cpu", "size": None,
        "bands": bands, "value_range": None, "classes": 2, "images": files,
    }  # fmt: skip
    assert len(list(predict.predict(job))) == 2
    assert [tuple(image[0, 0]) for image in images] == [seen, seen]
