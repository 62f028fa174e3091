import pytest

from alspec.plan.dag import Setting
from alspec.plan.step import StepKey
from alspec.report.guidance import Guidance, caveats_block, guidance_item
from alspec.report.verdict import leaders_table, verdict
from alspec.results.standings import Comparison, Entry

FAMILIES = {"random": "random", "entropy": "single", "coreset": "batch"}


def entry(name, *miou):
    """An entry by its name; one mIoU a seed, None for an unfinished seed."""
    method, ssl = name.removesuffix("-SSL"), name.endswith("-SSL")
    values = {seed: value for seed, value in enumerate(miou) if value is not None}
    return Entry(
        method, FAMILIES[method], ssl, method == "random", tuple(range(len(miou))),
        {2: values} if values else {}, values, {},
    )  # fmt: skip


def compared(*entries, at=30.0):
    setting = Setting("toy", "all", "10-10", StepKey("0" * 64), 100, (10, 20, 30))
    return Comparison(setting, False, (10.0, 20.0, 30.0), at, None, entries, ())


def test_a_margin_above_the_spread_is_said_to_be():
    said = verdict(compared(entry("random", 60, 61, 62), entry("entropy", 64, 65, 66)))
    assert "**entropy** is best (65.00 mIoU), 4.00 above random, more than the spread" in said
    assert "(1.00)" in said
    assert "no clear difference" not in said


def test_a_margin_within_the_spread_is_no_claim():
    said = verdict(compared(entry("random", 60, 64), entry("entropy", 61, 65)))
    assert "within the spread over the seeds (2.83), so no clear difference" in said


def test_one_seed_allows_no_claim():
    said = verdict(compared(entry("random", 60), entry("entropy", 70)))
    assert "claim nothing" in said
    assert "spread" not in said


def test_a_margin_over_one_of_many_seeds_is_no_claim():
    said = verdict(compared(entry("random", 60, None), entry("entropy", 70, 71)))
    assert "10.00 above random (so far over seed 0 alone, so no claim)" in said


def test_random_may_win():
    said = verdict(compared(entry("random", 66, 66.2), entry("entropy", 61, 61.2)))
    assert "no method beats Random: **random** is best" in said


def test_a_runner_up_that_is_not_random_is_named():
    said = verdict(
        compared(entry("random", 60, 60), entry("entropy", 64, 64), entry("coreset", 63, 63))
    )
    assert "4.00 above random" in said
    assert "1.00 above the runner-up coreset" in said


def test_unlike_seeds_and_missing_methods_are_told():
    said = verdict(
        compared(
            entry("random", 60, 61, None), entry("entropy", 62, 63, 64), entry("coreset", None)
        )
    )
    assert "(so far over seeds 0 and 1)" in said
    assert "No result at this budget yet: coreset." in said


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ((entry("random", None), entry("entropy", None)), "No method has reached 30 %"),
        ((entry("random", 60, None), entry("entropy", None, 61)), "No seed has been finished"),
        ((entry("entropy", 60),), "the only method with a result"),
    ],
)
def test_what_cannot_be_compared_is_not(entries, says):
    assert says in verdict(compared(*entries))


def test_the_initial_set_decides_nothing():
    said = verdict(compared(entry("random", 60), entry("entropy", 60), at=10.0))
    assert "share the initial set" in said
    assert "best" not in said


def advice(family="batch", ssl=False, use_ssl=False):
    return Guidance("toy", "10-10", "high", "high", ssl, family, use_ssl, family.title())


@pytest.mark.parametrize(
    ("guidance", "entries", "says"),
    [
        (advice(), ("coreset", "entropy", "random"), "agrees: coreset is best"),
        (advice("single"), ("coreset", "entropy", "random"), "does not agree: coreset is best"),
        (advice("random"), ("random",), "it has no other method"),
        (advice(), ("entropy", "random"), "it has no such method"),
        (advice(ssl=True, use_ssl=True), ("random-SSL", "coreset-SSL"), "does not agree"),
        (advice(ssl=True, use_ssl=False), ("coreset", "coreset-SSL"), "agrees: coreset is best"),
        (advice(ssl=False), ("coreset-SSL", "entropy"), "it has no such method"),
    ],
)
def test_the_study_agrees_with_the_guide_or_not(guidance, entries, says):
    made = [entry(name, 66 - rank, 66.2 - rank) for rank, name in enumerate(entries)]
    assert says in guidance_item([(guidance, compared(*made))])


def test_agreement_waits_for_results():
    item = guidance_item([(advice(), compared(entry("coreset", None), entry("entropy", 60)))])
    assert "cannot tell yet" in item
    lone = guidance_item([(advice(), compared(entry("coreset", 60), entry("entropy", None)))])
    assert "cannot tell yet" in lone


def test_disagreement_is_measured_against_the_best_advised_method():
    made = compared(entry("entropy", 66, 66), entry("random", 65, 65), entry("coreset", 63, 63.2))
    assert "entropy is best at 30 %, 2.90 above coreset" in guidance_item([(advice(), made)])


def test_caveats_are_told_once():
    both = [
        Guidance("toy", "b", "low", "low", ssl, "random", ssl, "x", caveats=("volatile", "a|b"))
        for ssl in (False, True)
    ]
    assert caveats_block(both) == "Caveats:\n\n- volatile\n- a\\|b"
    assert caveats_block([advice()]) == ""


def test_a_caveat_of_some_settings_names_them():
    shared = [
        Guidance(name, "2-2", "low", "low", False, "random", False, "x", caveats=caveats)
        for name, caveats in (("a", ("all", "some")), ("b", ("all",)), ("c", ("some", "all")))
    ]
    assert caveats_block(shared) == "Caveats:\n\n- all\n- a 2-2 and c 2-2: some"


def test_the_same_advice_is_given_once_for_many_settings():
    won = compared(entry("coreset", 66, 66.2), entry("entropy", 65, 65.2))
    lost = compared(entry("coreset", 61, 61.2), entry("entropy", 65, 65.2))
    lines = guidance_item([(advice(), won), (advice(), lost)]).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  - toy 10-10: this study agrees")
    assert lines[2].startswith("  - toy 10-10: this study does not agree")


def test_many_settings_are_led_by_a_table():
    clear = compared(entry("random", 60, 61), entry("entropy", 64, 65))
    unclear = compared(entry("random", 60, 64), entry("entropy", 61, 65))
    lone = compared(entry("random", 60), entry("entropy", 64))
    start = compared(entry("random", 60), entry("entropy", 60), at=10.0)
    made = leaders_table(list(zip("abcd", (clear, unclear, lone, start), strict=True)))
    assert [line.split(" | ")[2:5] for line in made.splitlines()[2:6]] == [
        ["entropy", "64.50", "+4.00 (clear)"],
        ["entropy", "63.00", "+1.00 (within the spread)"],
        ["entropy", "64.00", "+4.00 (one seed)"],
        ["–", "–", "–"],
    ]
