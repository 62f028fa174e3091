from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from alspec.labelling.worth import Advice, fit, miou, worth


def matrices(quality, images=40, classes=4, seed=0, spread=0.0):
    """Confusions of images whose IoU is near `quality` percent."""
    rng = np.random.default_rng(seed)
    found = np.zeros((images, classes, classes), np.int64)
    for image in range(images):
        iou = np.clip(quality + rng.normal(0, spread), 1, 99.5) / 100
        right = 2 * iou / (1 + iou)
        for number in range(classes):
            found[image, number, number] = round(100_000 * right)
            found[image, number, (number + 1) % classes] = 100_000 - found[image, number, number]
    return found


def curve(n, a=70.0, b=60.0, c=0.5):
    return a - b * np.asarray(n, float) ** -c


@pytest.mark.parametrize(("a", "b", "c"), [(70, 60, 0.5), (55, 100, 1.0), (90, 200, 0.7)])
def test_recovers_a_curve_without_noise(a, b, c):
    sizes = np.array([20.0, 40, 60, 80, 100])
    (found,) = fit(sizes, curve(sizes, a, b, c)[None], np.ones((1, 5)))
    np.testing.assert_allclose(found, (a, b, c), rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_constrained_search_finds_a_better_curve(seed):
    rng = np.random.default_rng(seed)
    sizes = np.array([10.0, 20, 30, 50, 80])
    measured = curve(sizes, rng.uniform(40, 110), rng.uniform(-20, 90), rng.uniform(0.1, 1.5))
    measured = np.minimum(measured + rng.normal(0, 2, 5), 99)
    (found,) = fit(sizes, measured[None], np.ones((1, 5)))

    def residuals(p):
        return measured - (p[0] - p[1] * sizes ** -found[2])

    start = (min(found[0], 99.9), max(found[1], 0.1))
    other = least_squares(residuals, start, bounds=([-1000, 0], [100, 1e6]))
    own = (residuals(found[:2]) ** 2).sum()
    assert own <= 2 * other.cost + 1e-6
    assert found[0] <= 100
    assert found[1] >= 0


def test_a_steep_curve_says_go_on_and_a_flat_one_stop():
    sizes = (20, 40, 60, 80)
    steep = [matrices(q) for q in curve(sizes, 80, 150, 0.4)]
    flat = [matrices(60.0) for _ in sizes]
    rng = np.random.default_rng(0)
    assert worth(sizes, steep, 20, rng).advice is Advice.GO_ON
    found = worth(sizes, flat, 20, rng)
    assert found.advice is Advice.STOP
    assert found.next_batch.expected == pytest.approx(0, abs=1e-9)


def test_noise_over_few_images_says_that_it_cannot_tell():
    sizes = (20, 40, 60, 80)
    noisy = [
        matrices(q, images=6, seed=n, spread=9) for n, q in enumerate(curve(sizes, 62, 30, 0.5))
    ]
    found = worth(sizes, noisy, 20, np.random.default_rng(1))
    assert found.advice is Advice.CANNOT_TELL
    assert found.next_batch.low < 0.5 < found.next_batch.high


@pytest.mark.parametrize("measured", [(25.2, 24.5, 25.7), (40.4, 40.3, 45.4, 44.1, 45.6)])
def test_measures_that_scatter_more_than_images_explain_are_no_ground_to_stop(measured):
    """A model trained anew is another one, which no number of check images shows."""
    sizes = 20 * np.arange(1, len(measured) + 1)
    found = worth(sizes, [matrices(q) for q in measured], 20, np.random.default_rng(0))
    assert found.advice is not Advice.STOP
    assert found.next_batch.high > 0.5


@pytest.mark.parametrize(
    ("case", "most_stops"),
    [("rises late", 8), ("rises", 2)],
)
def test_three_measures_seldom_say_stop_where_more_labels_help(case, most_stops):
    """Alike by chance, three measures are no plateau; without the scatter 28 of 30 say so."""
    quality = {"rises late": np.full(3, 25.0), "rises": curve((20, 40, 60), 50, 60, 0.3)}[case]
    stops = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sets = [matrices(q, images=20) for q in quality + rng.normal(0, 1, 3)]
        stops += worth((20, 40, 60), sets, 20, rng).advice is Advice.STOP
    assert stops <= most_stops


def test_a_plateau_says_stop_though_measures_scatter():
    stops = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sets = [matrices(q, images=20) for q in 60 + rng.normal(0, 0.5, 7)]
        stops += worth(range(20, 160, 20), sets, 20, rng).advice is Advice.STOP
    assert stops >= 18


def test_two_measures_are_too_few():
    found = worth((20, 40), [matrices(40), matrices(50)], 20, np.random.default_rng(0))
    assert (found.advice, found.next_batch) == (Advice.CANNOT_TELL, None)
    assert [round(point[1]) for point in found.points] == [40, 50]


def test_doubling_is_worth_at_least_a_batch_that_is_smaller():
    sizes = (20, 40, 60)
    found = worth(sizes, [matrices(q) for q in curve(sizes)], 20, np.random.default_rng(0))
    assert found.doubling.expected >= found.next_batch.expected > 0
    wanted = curve(80) - curve(60)
    assert found.next_batch.expected == pytest.approx(wanted, abs=0.05)


def test_miou_leaves_out_classes_that_never_occur():
    assert miou(np.array([[5, 5, 0], [0, 10, 0], [0, 0, 0]])) == pytest.approx(
        100 * (5 / 10 + 10 / 15) / 2
    )
    assert np.isnan(miou(np.zeros((2, 2), np.int64)))


@pytest.mark.parametrize("sizes", [(10, 10, 10), (10, 10, 20), (10, 10, 10, 20, 20)])
def test_a_curve_takes_three_sizes(sizes):
    sets = [matrices(30 + 10 * n) for n in range(len(sizes))]
    found = worth(sizes, sets, 5, np.random.default_rng(0))
    assert (found.advice, found.next_batch, found.curve) == (Advice.CANNOT_TELL, None, None)
    assert found.sizes == len(set(sizes))


def test_measures_of_one_size_are_no_obstacle_to_a_curve():
    sizes = (20, 20, 40, 60)
    found = worth(sizes, [matrices(q) for q in curve(sizes)], 20, np.random.default_rng(0))
    assert found.next_batch.expected == pytest.approx(curve(80) - curve(60), abs=0.05)
    assert np.isfinite([found.next_batch.low, found.next_batch.high]).all()


def test_without_a_pixel_to_measure_on_nothing_can_be_told():
    found = worth((10, 20, 30), [0 * matrices(50)] * 3, 5, np.random.default_rng(0))
    assert (found.advice, found.next_batch, found.sizes) == (Advice.CANNOT_TELL, None, 0)
    assert np.isnan([point[1] for point in found.points]).all()


def test_a_measure_that_is_not_known_has_no_curve():
    measured = np.array([[50.0, np.nan, 60.0], [50.0, 55.0, 60.0]])
    found = fit(np.array([10.0, 20, 30]), measured, np.ones((2, 3)))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
