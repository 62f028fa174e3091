"""The small pictures that steps store: what they show, and that they carry nothing else."""

import csv
import io

import numpy as np
import pytest
import torch
from PIL import Image

from alspec.datasets.base import ImageId
from alspec.datasets.open import open_dataset
from alspec.steps.illustrations import (
    COLUMNS,
    FIRST,
    SHOWN,
    WIDTH,
    noting,
    principal_components,
    shown_of,
    write_embedding,
    write_examples,
    write_picks,
)


class Pixels:
    """A pixel source of two-coloured images and masks."""

    def image(self, image):
        pixels = np.zeros((32, 64, 3), np.uint8)
        pixels[:, 32:] = 255
        return pixels

    def mask(self, image):
        mask = np.zeros((32, 64), np.uint8)
        mask[:, 32:] = 255
        return mask


def sheet(path):
    image = Image.open(io.BytesIO(path.read_bytes()))
    assert image.format == "JPEG"
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    return np.asarray(image)


def test_components_are_those_of_numpys_svd():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(60, 9)) * [9, 5, 1, 1, 1, 1, 1, 1, 1]
    found = principal_components(features)
    centred = features - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ axes[:2].T
    for k in range(2):
        assert abs(np.corrcoef(found[:, k], expected[:, k])[0, 1]) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(found, principal_components(features))


@pytest.mark.parametrize("features", [np.ones((4, 3)), np.zeros((1, 5)), np.ones((3, 1))])
def test_features_without_two_directions_are_one_point(features):
    assert not principal_components(features).any()


def test_an_embedding_keeps_what_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr("alspec.steps.illustrations.MOST_POINTS", 5)
    images = [ImageId(str(k)) for k in range(20)]
    features = torch.randn((20, 4), generator=torch.Generator().manual_seed(0))
    write_embedding(tmp_path, images, features, ["7", "13"])
    with (tmp_path / "embedding.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert ids == ["0", "4", "7", "8", "12", "13", "16"]


def test_picks_are_in_the_order_of_choice(tmp_path):
    write_picks(tmp_path, Pixels(), [ImageId(str(k)) for k in range(30)])
    pixels = sheet(tmp_path / "picks.jpg")
    rows = FIRST // COLUMNS
    assert pixels.shape == (rows * WIDTH // 2 + 4 * (rows - 1), COLUMNS * (WIDTH + 4) - 4, 3)
    assert pixels[20, 20].max() < 40
    assert pixels[20, 100].min() > 215


def test_examples_stand_beside_their_truth(tmp_path):
    predicted = {ImageId("a"): np.ones((32, 64), np.uint8)}
    write_examples(tmp_path, Pixels(), predicted)
    pixels = sheet(tmp_path / "examples.jpg").astype(int)
    assert pixels.shape == (WIDTH // 2, 3 * (WIDTH + 4) - 4, 3)
    truth, prediction = pixels[:, WIDTH + 4 : 2 * WIDTH + 4], pixels[:, 2 * WIDTH + 8 :]
    assert truth[20, 100].max() < 40  # what does not count is black
    assert abs(prediction[20, 20] - prediction[20, 100]).max() < 25
    assert abs(prediction[20, 20] - truth[20, 20]).max() > 60  # classes 1 and 0


def test_no_more_than_six_images_are_shown():
    images = [ImageId(str(k)) for k in range(100)]
    assert len(shown_of(images)) == SHOWN
    assert shown_of(images[:3]) == ("0", "1", "2")


def test_predictions_are_noted_as_they_pass():
    logits = [torch.eye(3).reshape(1, 3, 3, 1) * k for k in (1, -1)]
    noted = {}
    passed = list(noting(iter(logits), ["a", "b"], ("a",), noted))
    assert all(one is other for one, other in zip(passed, logits, strict=True))
    assert list(noted) == ["a"]
    assert noted["a"].ravel().tolist() == [0, 1, 2]


def test_steps_store_them(performed):
    store = performed.store
    coreset, entropy, random = (
        performed.run_of(name).sets[1].acquire for name in ("coreset", "entropy", "random")
    )
    assert store.holds(coreset, "embedding.csv")
    assert store.holds(coreset, "picks.jpg")
    assert store.holds(entropy, "picks.jpg")
    assert not store.holds(entropy, "embedding.csv")
    assert not store.holds(random, "picks.jpg")
    assert store.holds(performed.run_of("random").sets[1].train, "picks.jpg")
    assert not store.holds(performed.run_of("entropy").sets[1].train, "picks.jpg")
    evaluate = performed.run_of("random").sets[0].evaluate
    assert store.holds(evaluate, "examples.jpg")
    ids = {row.split(",")[0] for row in store.read_lines(coreset, "embedding.csv")[1:]}
    assert ids == set(performed.pool_ids())


def test_the_pool_step_counts_the_pixels_of_each_class(performed):
    (setting,) = performed.plan.settings
    counted = performed.store.read_array(setting.pool_step, "class_pixels.npy")
    ids = [row.split(",")[0] for row in performed.store.read_lines(setting.pool_step, "pool.csv")]
    dataset = open_dataset(performed.plan.study.datasets[0])
    assert len(counted) == len(ids) - 1
    for image, row in zip(ids[1:3], counted, strict=False):
        expected = np.bincount(dataset.read_mask(image).ravel(), minlength=256)
        assert row.tolist() == [*expected[: len(dataset.classes)], expected[255]]
