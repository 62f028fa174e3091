import math

import pytest
from factories.study import CLASSES, MadeStudy

from alspec.results.pools import read_pools
from alspec.results.standings import Entry, class_iou, comparisons, standing
from alspec.results.stats import iou_of
from alspec.results.table import collect
from alspec.store.store import Store


def entry(method, values, ssl=False):
    """An entry whose mIoU by seed is given."""
    return Entry(method, "any", ssl, method == "random", tuple(values), {}, values, {})


def test_the_highest_mean_is_best_and_margins_are_paired_by_seed():
    random, entropy = entry("random", {0: 60.0, 1: 62.0}), entry("entropy", {0: 64.0, 1: 64.2})
    found = standing([random, entropy], "miou")
    assert found.best is entropy
    assert found.mean == pytest.approx(64.1)
    assert found.over_random.other is random
    assert found.over_random.points == pytest.approx(3.1)
    assert found.over_random.difference.by_seed == pytest.approx({0: 4.0, 1: 2.2})


def test_methods_are_compared_over_the_seeds_they_share():
    quick = entry("entropy", {0: 60.0, 1: 90.0})
    slow = entry("coreset", {0: 61.0})
    found = standing([quick, slow, entry("random", {})], "miou")
    assert found.best is slow
    assert found.seeds == (0,)
    assert found.over_next.difference.by_seed == {0: pytest.approx(1.0)}


def test_random_of_the_other_ssl_arm_is_no_reference():
    found = standing([entry("random", {0: 60.0}), entry("entropy", {0: 62.0}, ssl=True)], "miou")
    assert found.over_random is None
    assert found.over_next.points == pytest.approx(2.0)


@pytest.mark.parametrize("values", [[{}, {}], [{0: 1.0}, {1: 2.0}]])
def test_nothing_shared_is_no_standing(values):
    assert standing([entry(str(k), v) for k, v in enumerate(values)], "miou") is None


def test_random_itself_can_be_best():
    found = standing([entry("random", {0: 63.0}), entry("entropy", {0: 62.0})], "miou")
    assert found.best.reference
    assert found.over_random is None


def test_the_dropout_arm_is_compared_on_its_own(tmp_path):
    made = MadeStudy(methods=("entropy",), dropout=("random", "bald"), seeds=(0, 1))
    store = Store(tmp_path)
    made.commit(store)
    plain, dropout = comparisons(made.plan, collect(made.plan, store))
    assert [e.name for e in plain.methods] == ["entropy", "entropy-SSL"]
    assert [e.name for e in dropout.methods] == ["random", "bald", "random-SSL", "bald-SSL"]
    assert [e.reference for e in dropout.methods] == [True, False, True, False]
    assert [len(c.full) for c in (plain, dropout)] == [1, 1]
    assert plain.full[0].miou != dropout.full[0].miou


def test_classes_are_averaged_over_the_finished_seeds(tmp_path):
    made = MadeStudy(methods=("entropy",), ssl=(False,), seeds=(0, 1))
    store = Store(tmp_path)
    made.commit(store)
    results = collect(made.plan, store)
    own = results.classes[results.classes["method"] == "entropy"]
    names, ious = class_iou(own, 2)
    by_seed = [iou_of(made.confusions[run.sets[2].evaluate]) for run in made.plan.runs[:2]]
    assert names == CLASSES
    assert ious[:4] == pytest.approx(((by_seed[0] + by_seed[1]) / 2)[:4])
    assert math.isnan(ious[4])
    assert class_iou(own, 9) == ((), ())


def test_the_last_common_cycle_waits_for_the_slowest(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), ssl=(False,), seeds=(0,))
    store = Store(tmp_path)
    made.commit(store, lambda run, s: s.cycle < (2 if run.method == "random" else 5))
    (comparison,) = comparisons(made.plan, collect(made.plan, store))
    assert comparison.last_common_cycle == 1
    assert comparison.methods[0].miou == {}


def test_pools_are_read_where_they_are_done(tmp_path):
    made = MadeStudy(methods=("random",), seeds=(0,))
    assert read_pools(made.plan, Store(tmp_path)) == {}
    made.commit(Store(tmp_path), lambda run, labelled: False)
    (facts,) = read_pools(made.plan, Store(tmp_path)).values()
    assert (facts.images, facts.views_per_image, facts.redundancy) == (2640, 0.375, "high")
    assert tuple(facts.notes) == ("class map: release19",)
