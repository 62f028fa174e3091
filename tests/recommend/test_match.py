"""Which settings of a study are the paper's, and what is told of those that are nearly so."""

import pytest

from alspec.plan.dag import Setting
from alspec.recommend.departures import authors_code, departures, notes
from alspec.recommend.match import PaperSetting, comparable_rows, paper_method, paper_setting
from alspec.recommend.paper import paper_rows
from alspec.spec.model import Budget, DatasetSpec, Method, Study

ALL = {"kind": "all"}
TEN = {"initial": 10, "step": 10}
TWO = {"initial": 2, "step": 2}
FIVE = {"initial": 5, "step": 5}
THREE_K = {"unit": "images", "initial": 1000, "step": 1000, "cycles": 3}


def frames(following, size=2640):
    return {"kind": "frames", "size": size, "consecutive": following}


def augmented(duplicates=5, size=2640, **more):
    return {"kind": "augmented", "size": size, "duplicates": duplicates, **more}


def listed(name):
    return {"kind": "list", "path": f"/some/where/{name}"}


def asked(kind, redundancy, pool_images, numbers, image_size=(256, 512)):
    """The three things `paper_setting` is given, under names that say nothing."""
    dataset = DatasetSpec(name="d", kind=kind, image_size=image_size, redundancy=redundancy)
    budget = Budget(name="b", **numbers)
    counts = budget.labelled_images(pool_images)
    return dataset, Setting("d", "p", "b", "0", pool_images, counts), budget


@pytest.mark.parametrize(
    ("kind", "redundancy", "pool_images", "numbers", "expected"),
    [
        ("cityscapes", ALL, 2975, TEN, ("cityscapes", "10-10")),
        ("cityscapes", ALL, 2975, TWO, ("cityscapes", "2-2")),
        ("voc", ALL, 10582, TEN, ("pascal-voc", "10-10")),
        ("voc", ALL, 10582, FIVE, ("pascal-voc", "5-5")),
        ("voc", ALL, 10582, TWO, ("pascal-voc", "2-2")),
        ("a2d2", frames(0), 2640, TEN, ("a2d2-pool-0f", "10-10")),
        ("a2d2", frames(0), 2640, TWO, ("a2d2-pool-0f", "2-2")),
        ("a2d2", frames(5), 2640, TEN, ("a2d2-pool-5f", "10-10")),
        ("a2d2", frames(11), 2640, TEN, ("a2d2-pool-11f", "10-10")),
        ("a2d2", frames(11), 2640, TWO, ("a2d2-pool-11f", "2-2")),
        ("a2d2", frames(21), 2640, TEN, ("a2d2-pool-21f", "10-10")),
        ("a2d2", frames(4), 2640, TEN, ("a2d2-pool-5f", "10-10")),
        ("a2d2", frames(10), 2640, TWO, ("a2d2-pool-11f", "2-2")),
        ("a2d2", frames(20, size=2646), 2646, TEN, ("a2d2-pool-21f", "10-10")),
        ("a2d2", augmented(), 2640, TEN, ("a2d2-pool-aug", "10-10")),
        ("a2d2", ALL, 40135, THREE_K, ("a2d2-3k", "3k")),
    ],
)
def test_every_setting_of_the_paper_is_known(kind, redundancy, pool_images, numbers, expected):
    assert paper_setting(*asked(kind, redundancy, pool_images, numbers)) == expected


def test_the_settings_above_are_all_there_are():
    assert len({(row.dataset, row.budget) for row in paper_rows()}) == 13


@pytest.mark.parametrize(
    ("kind", "redundancy", "pool_images", "numbers"),
    [
        ("folder", ALL, 2975, TEN),
        ("toy", frames(11), 2640, TEN),
        ("cityscapes", ALL, 2974, TEN),
        ("cityscapes", {"kind": "every", "n": 1}, 2975, TEN),
        ("cityscapes", frames(11), 2640, TEN),
        ("cityscapes", ALL, 2975, FIVE),
        ("cityscapes", ALL, 2975, {"initial": 10, "step": 10, "cycles": 4}),
        ("cityscapes", ALL, 2975, {"initial": 10, "step": 5}),
        ("a2d2", ALL, 40135, TEN),
        ("a2d2", ALL, 2640, TEN),
        ("a2d2", frames(21), 2640, TWO),
        ("a2d2", frames(3), 2640, TEN),
        ("a2d2", frames(11, size=1320), 1320, TEN),
        ("a2d2", augmented(duplicates=3), 2640, TEN),
        ("a2d2", listed("my_pool.txt"), 2640, TEN),
        ("a2d2", listed("pool_7f.txt"), 2640, TEN),
        ("a2d2", frames(11), 2640, {"unit": "images", "initial": 10, "step": 10}),
        ("a2d2", frames(11), 2640, THREE_K | {"initial": 100, "step": 100}),
    ],
)
def test_what_the_paper_has_not_is_none(kind, redundancy, pool_images, numbers):
    assert paper_setting(*asked(kind, redundancy, pool_images, numbers)) is None


@pytest.mark.parametrize("following", [0, 5, 11, 21])
def test_the_authors_lists_are_known_by_name_and_their_size_is_told(following):
    given = asked("a2d2", listed(f"pool_{following}f.txt"), 2400, TEN)
    found = paper_setting(*given)
    assert found == (f"a2d2-pool-{following}f", "10-10")
    (said,) = notes(*given[:2], found)
    assert "2,400" in said
    assert "2,640" in said
    whole = asked("a2d2", listed(f"pool_{following}f.txt"), 2640, TEN)
    assert list(notes(*whole[:2], found)) == []


def test_pools_drawn_anew_say_so():
    for redundancy in (frames(5), augmented()):
        given = asked("a2d2", redundancy, 2640, TEN)
        assert "anew" in " ".join(notes(*given[:2], paper_setting(*given)))


def test_where_the_paper_is_silent_the_report_is_not():
    given = asked("voc", ALL, 10582, FIVE)
    found = paper_setting(*given)
    assert found.miou_at == 15
    assert "does not say" in " ".join(notes(*given[:2], found))
    assert paper_setting(*asked("voc", ALL, 10582, TWO)).miou_at == 6


@pytest.mark.parametrize(
    ("name", "every", "expected"),
    [
        ("bald", None, "bald"), ("margin", None, "margin"), ("entropy", 5, "uniform5+entropy"),
        ("entropy", 4, None), ("coreset", 5, None),
    ],
)  # fmt: skip
def test_methods_are_known_by_plugin_and_candidates(name, every, expected):
    candidates = {"every": every} if every else None
    assert paper_method(Method(name=name, label="random", candidates=candidates)) == expected


def study(dataset, **choices):
    given = {"methods": [{"name": "coreset", "label": "k-center"}, "bald"], "budgets": ["10-10"]}
    return Study(study="s", datasets=(dataset,), **given | choices)


def test_rows_carry_the_studys_labels():
    dataset, _, _ = asked("a2d2", frames(11), 2640, TEN)
    rows = comparable_rows(study(dataset), PaperSetting("a2d2-pool-11f", "10-10"))
    assert set(rows) == {
        ("k-center", False, False), ("k-center", True, False), ("bald", False, True),
        ("bald", True, True), ("full", False, False), ("full", False, True),
    }  # fmt: skip
    assert (rows["k-center", True, False].miou, rows["full", False, True].miou) == (48.99, 50.86)


@pytest.mark.parametrize(
    ("kind", "pool_images", "size", "own"),
    [
        ("cityscapes", 2975, (256, 512), {"s4gan": {"threshold": 0.7, "discriminator_lr": 2.5e-5}}),
        ("voc", 10582, (400, 500), {"training": {"crop": (321, 321), "scale": (0.5, 1.5)}}),
    ],
)
def test_the_papers_own_study_departs_in_nothing(kind, pool_images, size, own):
    given = asked(kind, ALL, pool_images, TEN, size)
    assert (
        departures(study(given[0], pretrained="w.pth", **own), given[0], paper_setting(*given))
        == ()
    )


def test_what_the_authors_code_does_otherwise_is_said_where_it_applies():
    dataset = asked("a2d2", frames(5), 2640, TEN)[0]
    said = " ".join(authors_code(study(dataset, methods=["random", "entropy", "equal"]), dataset))
    for words in ("137.1 M", "4.9e-3", "entropy_sum", "groups of 5 frames", "mirrors no", "head"):
        assert words in said
    assert "grid: 2" not in said
    own = asked("a2d2", frames(4), 2640, TEN)[0]
    released = study(
        own,
        ssl=[True],
        model="deeplabv3plus_wrn38_dense",
        methods=[{"name": "coreset", "grid": 2}, {"name": "equal", "variant": "entropy_sum"}],
        training={"lr": 4.9e-3, "head_lr_factor": 8, "flip": False},
    )
    assert list(authors_code(released, own)) == []
    given = asked("a2d2", frames(4), 2640, TEN)
    told = departures(released, given[0], paper_setting(*given))
    assert {
        "redundancy.consecutive 4 instead of 5",
        "coreset's grid 2 instead of 1",
        "equal's variant entropy_sum instead of js",
        "model deeplabv3plus_wrn38_dense instead of deeplabv3plus_wrn38",
    } <= set(told)


def test_every_departure_is_named():
    given = asked("a2d2", augmented(crop_area=0.5), 2640, TEN, (48, 96))
    other = study(
        given[0],
        model="deeplabv3plus_tiny",
        methods=[{"name": "bald", "passes": 20}],
        seeds=[0],
        training={"epochs": 6, "batch_size": 2, "lr": 0.1, "precision": "float32"},
    )
    assert set(departures(other, given[0], paper_setting(*given))) == {
        "model deeplabv3plus_tiny instead of deeplabv3plus_wrn38",
        "pretrained weights none instead of ImageNet's",
        "number of seeds 1 instead of 3",
        "training images 48 x 96 instead of 256 x 512",
        "measured at 48 x 96 instead of 256 x 512",
        "training.epochs 6 instead of 100",
        "training.batch_size 2 instead of 8",
        "training.lr 0.1 instead of 0.001",
        "s4gan.threshold 0.6 instead of 0.7",
        "s4gan.discriminator_lr 0.0001 instead of 2.5e-05",
        "redundancy.crop_area 0.5 instead of 0.85",
        "bald's passes 20 instead of 10",
    }


def test_without_ssl_its_weights_do_not_matter():
    given = asked("a2d2", frames(5), 2640, TEN)
    told = departures(study(given[0], ssl=False), given[0], paper_setting(*given))
    assert not any("s4gan" in departure for departure in told)
