"""What a study may say, for every state that its seeds can be in."""

import re

import numpy as np
import pytest

from alspec.plan.dag import Setting
from alspec.plan.step import StepKey
from alspec.report.document import Fold, items
from alspec.report.guidance import Guidance, agreement, caveats_block, guidance_item
from alspec.report.markdown import inline
from alspec.report.verdict import leaders_table, verdict
from alspec.results.standings import Comparison, Entry

FAMILIES = {"random": "random", "entropy": "single", "coreset": "batch"}


def entry(name, *miou, auc=()):
    """An entry by its name; one mIoU a seed, None for an unfinished seed."""
    method, ssl = name.removesuffix("-SSL"), name.endswith("-SSL")
    values = {seed: value for seed, value in enumerate(miou) if value is not None}
    return Entry(
        method, FAMILIES[method], ssl, method == "random", tuple(range(len(miou))),
        {2: values} if values else {}, values, dict(enumerate(auc)),
    )  # fmt: skip


def compared(*entries, at=30.0, auc=None):
    setting = Setting("toy", "all", "10-10", StepKey("0" * 64), 100, (10, 20, 30))
    return Comparison(setting, False, (10.0, 20.0, 30.0), at, auc, entries, ())


def said(*entries, **options):
    return inline(verdict(compared(*entries, **options)))


def test_a_clear_winner_is_recommended():
    found = said(entry("random", 60, 61, 62), entry("entropy", 64, 65.1, 66))
    assert found.startswith("**Use entropy.** With 30 % of the images labelled, **entropy** is")
    assert "4.03 above random, a win (95 % interval +3.89 to +4.18)" in found


def test_a_winner_over_random_with_a_close_runner_up_only_beats_random():
    found = said(
        entry("random", 60, 61, 62), entry("entropy", 64, 65, 66.1), entry("coreset", 63, 66, 65)
    )
    assert found.startswith("**entropy beats random.**")
    assert "above the runner-up coreset, undecided" in found


def test_what_is_undecided_says_how_many_seeds_would_decide():
    found = said(entry("random", 60, 61, 62), entry("entropy", 61, 65, 62.5))
    assert found.startswith("**Undecided: no method beats random for sure.** About ")
    assert "seeds (" in found


def test_a_tie_is_called_one():
    found = said(entry("random", 60, 61, 62), entry("entropy", 60.02, 61.01, 62.03))
    assert found.startswith("**entropy and random are equally good.**")
    assert "a tie" in found


@pytest.mark.parametrize(("seeds", "says"), [(1, "One seed"), (2, "2 seeds give no interval")])
def test_too_few_seeds_decide_nothing(seeds, says):
    found = said(entry("random", *[60] * seeds), entry("entropy", *[70] * seeds))
    assert found.startswith(f"**No decision.** {says}")
    assert "run at least 3" in found


def test_a_margin_over_one_of_many_seeds_is_no_claim():
    found = said(entry("random", 60, None), entry("entropy", 70, 71))
    assert "10.00 above random (so far over seed 0 alone)" in found
    assert "No decision" in found


def test_a_sure_win_is_told_beside_an_unsure_leader():
    found = said(
        entry("random", 60, 61, 62), entry("coreset", 62, 63.1, 64), entry("entropy", 60, 64, 70)
    )
    assert found.startswith("**coreset beats random; entropy, the highest, not for sure.**")


def test_a_sure_loser_is_named_where_no_method_wins_for_sure():
    found = said(
        entry("random", 60, 61, 62), entry("coreset", 60, 64, 70), entry("entropy", 55, 56.1, 57)
    )
    assert found.startswith(
        "**Avoid entropy, which is worse than random; none beats it for sure.** About "
    )


def test_random_may_win():
    found = said(entry("random", 66, 66.2, 66.1), entry("entropy", 61, 61.2, 61.1))
    assert found.startswith("**Stay with random.**")


def test_auc_may_decide_where_one_budget_does_not():
    found = said(
        entry("random", 60, 61, 62, auc=(10, 11, 12)),
        entry("entropy", 61, 60.5, 62.7, auc=(10.5, 11.51, 12.5)),
        auc=30.0,
    )
    assert found.startswith("**entropy beats random by AUC.**")


def test_unlike_seeds_and_missing_methods_are_named():
    found = said(
        entry("random", 60, 61, None), entry("entropy", 62, 63, 64), entry("coreset", None)
    )
    assert "(so far over seeds 0 and 1)" in found
    assert "No result at this budget yet: coreset." in found


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ((entry("random", None), entry("entropy", None)), "No method has reached 30 %"),
        ((entry("random", 60, None), entry("entropy", None, 61)), "No seed has been finished"),
        ((entry("entropy", 60),), "the only method with a result"),
    ],
)
def test_what_cannot_be_compared_is_not(entries, says):
    assert says in said(*entries)


def test_the_initial_set_decides_nothing():
    found = said(entry("random", 60), entry("entropy", 60), at=10.0)
    assert "share the initial set" in found
    assert "highest" not in found


def test_leaders_say_what_is_decided():
    clear = compared(entry("random", 60, 61, 62), entry("entropy", 64, 65.1, 66))
    one = compared(entry("random", 60), entry("entropy", 64))
    tally, shown, _ = leaders_table([("a", clear), ("b", one)])
    assert inline(tally.sentences) == ("Against Random: **entropy** wins in 1 of 2 settings.")
    assert [row[4] for row in shown.rows] == ["+4.03 (win)", "+4.00 (1 seed)"]


def advice(family="batch", ssl=False, use_ssl=False):
    return Guidance("toy", "10-10", "high", "high", ssl, family, use_ssl, family.title())


@pytest.mark.parametrize(
    ("guidance", "entries", "says"),
    [
        (advice(), ("coreset", "entropy", "random"), "agrees: by mIoU at 30 % coreset is 1.00"),
        (advice("single"), ("coreset", "entropy", "random"), "disagrees: by mIoU at 30 % entropy"),
        (advice("random"), ("random",), "it has no other method"),
        (advice(), ("entropy", "random"), "it has no such method"),
        (advice(ssl=True, use_ssl=True), ("random-SSL", "coreset-SSL"), "disagrees"),
        (advice(ssl=True, use_ssl=False), ("coreset", "coreset-SSL"), "agrees: "),
        (advice(ssl=False), ("coreset-SSL", "entropy"), "it has no such method"),
    ],
)
def test_the_study_agrees_with_the_guide_or_not(guidance, entries, says):
    made = [entry(name, 66 - rank, 66.2 - rank, 66.1 - rank) for rank, name in enumerate(entries)]
    assert says in agreement(guidance, compared(*made))


def test_no_advice_is_judged_by_arms_where_s4gan_did_nothing():
    made = [entry(n, 66 - r, 66.2 - r, 66.1 - r) for r, n in enumerate(("coreset-SSL", "entropy"))]
    guidance = advice(ssl=True, use_ssl=True)
    assert "agrees" in agreement(guidance, compared(*made))
    found = agreement(guidance, compared(*made), lambda _, one: one.ssl)
    assert found == "cannot tell: s4GAN did next to nothing in the arms that the guide advises"
    both = [entry(n, 66 - r, 66.2 - r, 66.1 - r) for r, n in enumerate(("entropy-SSL", "coreset"))]
    plain = advice(ssl=True, use_ssl=False)
    assert "disagrees" in agreement(plain, compared(*both))
    assert "no other method" in agreement(plain, compared(*both), lambda _, one: one.ssl)


def test_agreement_waits_for_results():
    made = compared(entry("coreset", None), entry("entropy", 60))
    assert "cannot tell yet" in agreement(advice(), made)
    lone = compared(entry("coreset", 60), entry("entropy", None))
    assert "cannot tell yet" in agreement(advice(), lone)


def test_a_tie_is_no_disagreement():
    made = compared(entry("coreset", 60, 61, 62), entry("entropy", 60.03, 61.02, 62.03))
    found = agreement(advice(), made)
    assert "a tie" in found
    assert "disagree" not in found


def test_auc_in_every_seed_outweighs_a_hair_at_one_budget():
    """Entropy 0.03 ahead at one budget, Coreset ahead by AUC in every seed: that is agreement."""
    made = compared(
        entry("coreset", 60, 61, 62, auc=(12, 13.1, 14)),
        entry("entropy", 60.5, 60.8, 61.79, auc=(11, 12, 13)),
        auc=30.0,
    )
    found = agreement(advice(), made)
    assert found.startswith("agrees: ")
    assert "ahead in 3 of 3 seeds" in found


def test_disagreement_is_measured_against_the_best_advised_method():
    made = compared(
        entry("entropy", 66, 66, 66.1), entry("random", 65, 65, 65), entry("coreset", 63, 63.2, 63)
    )
    found = agreement(advice(), made)
    assert found.startswith("disagrees: by mIoU at 30 % coreset is 2.97 below entropy")


def test_caveats_are_said_once():
    both = [
        Guidance("toy", "b", "low", "low", ssl, "random", ssl, "x", caveats=("volatile", "a|b"))
        for ssl in (False, True)
    ]
    assert caveats_block(both) == [Fold("Caveats", (items("volatile", "a|b"),))]
    assert caveats_block([advice()]) == []


def test_an_item_names_its_settings():
    made = compared(entry("coreset", 60), entry("entropy", 61))
    item = guidance_item([(advice(), made)])
    assert item.below[0].startswith("toy 10-10: this study cannot tell")


@pytest.mark.parametrize("seeds", [3, 5])
def test_without_any_difference_a_verdict_claims_something_in_at_most_5_of_100_studies(seeds):
    """Four methods beside the Randoms of two arms, mIoU and AUC both noise: 600 studies."""
    rng = np.random.default_rng(seeds)
    names, studies, claims = ("random", "entropy", "coreset"), 600, 0
    for _ in range(studies):
        entries = [
            entry(name + arm, *rng.normal(60, 1.5, seeds), auc=rng.normal(12, 0.3, seeds))
            for arm in ("", "-SSL")
            for name in names
        ]
        found = said(*entries, auc=30.0)
        claims += bool(re.match(r"\*\*(Use |Avoid |Stay with|[\w-]+ beats )", found))
    assert claims / studies <= 0.05, claims
