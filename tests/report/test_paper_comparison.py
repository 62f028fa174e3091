"""The paper's figures beside a made-up study's: arithmetic done by hand from the results."""

import pytest
from factories.reports import markdown_of
from factories.study import MadeStudy

from alspec.report.document import Document
from alspec.report.markdown import to_markdown
from alspec.report.paper_comparison import PaperFigures, against_section
from alspec.report.publish import figures_for
from alspec.results.standings import comparisons
from alspec.results.table import collect
from alspec.spec.model import Budget, DatasetSpec, Evaluation, FollowingFrames, Method
from alspec.store.store import Store

POOL = DatasetSpec(
    name="ours",
    kind="a2d2",
    image_size=(256, 512),
    redundancy=FollowingFrames(kind="frames", size=2640, consecutive=11),
)
PAPER = PaperFigures(
    "ours", "10-10", "Table 9, Street|s", 30.0, 50.0, 1, {("random", False, False): (44.61, 17.76)}
)  # fmt: skip
THREE_K = Budget(name="3k", unit="images", initial=1000, step=1000, cycles=3)


def finished(made, root, wanted=lambda run, labelled: True):
    store = Store(root)
    made.commit(store, wanted)
    return collect(made.plan, store)


def section(made, results, paper):
    blocks = against_section(comparisons(made.plan, results), paper)
    return to_markdown(Document("t", "", tuple(blocks)))


def cells(found, start):
    (row,) = [line for line in found.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_differences_are_ours_minus_the_papers(tmp_path):
    made = MadeStudy(methods=("random", "coreset"), seeds=(0, 1), datasets=(POOL,))
    results = finished(made, tmp_path)
    sets, runs = results.sets, results.runs
    ours = sets[(sets.method == "random") & ~sets.ssl & (sets.cycle == 2)].miou
    areas = runs[(runs.method == "random") & ~runs.ssl].auc
    found = section(made, results, [PAPER])
    assert cells(found, "| random ") == [
        "random", "",
        f"{ours.mean():.2f} ± {ours.std():.2f}", "44.61", f"{ours.mean() - 44.61:+.2f}",
        f"{areas.mean():.2f} ± {areas.std():.2f}", "17.76", f"{areas.mean() - 17.76:+.2f}",
    ]  # fmt: skip
    assert "coreset" not in found
    assert "Table 9, Street\\|s" in found


def test_miou_is_read_where_the_paper_reads_it(tmp_path):
    made = MadeStudy(
        methods=("random",), ssl=(False,), seeds=(0,), datasets=(POOL,),
        evaluation=Evaluation(miou_at=(50.0,), auc=False),
    )  # fmt: skip
    results = finished(made, tmp_path)
    sets = results.sets
    (ours,) = sets[(sets.method == "random") & (sets.cycle == 2)].miou
    found = section(made, results, [PAPER])
    assert "| Method | SSL | mIoU@30 here | paper | difference |\n" in found
    assert cells(found, "| random ")[2:] == [f"{ours:.2f}", "44.61", f"{ours - 44.61:+.2f}"]


def test_table_5_is_compared_after_doubling_and_says_so(tmp_path):
    a2d2 = DatasetSpec(name="a2d2", kind="a2d2", image_size=(256, 512))
    filtered = Method(name="entropy", label="thinned", candidates={"every": 5})
    made = MadeStudy(
        methods=("random", "uniform", filtered), seeds=(0,), datasets=(a2d2,),
        budgets=(THREE_K,), pool_images=40135,
    )  # fmt: skip
    results = finished(made, tmp_path)
    runs = results.runs
    (area,) = runs[(runs.method == "thinned") & runs.ssl].auc
    found = section(made, results, list(figures_for(made.plan)))
    assert "AUC@7.5 x 2 here" in found
    assert "the study's AUC is multiplied by 2 here" in found
    assert "Table 5, A2D2-3K" in found
    assert cells(found, "| thinned | ✓ ")[5:] == [
        f"{2 * area:.2f}",
        "5.59",
        f"{2 * area - 5.59:+.2f}",
    ]
    assert cells(found, "| uniform |  |")[6:] == ["–", "–"]
    assert cells(found, "| full ")[3] == "66.65"


def test_what_is_not_finished_has_no_difference(tmp_path):
    made = MadeStudy(methods=("random",), seeds=(0, 1), datasets=(POOL,))
    results = finished(made, tmp_path, lambda run, labelled: labelled.cycle < 2)
    assert cells(section(made, results, [PAPER]), "| random ")[2:] == [
        "–", "44.61", "–", "–", "17.76", "–",
    ]  # fmt: skip


def test_dropout_arms_stand_apart(tmp_path):
    made = MadeStudy(
        methods=("random",), dropout=("random", "bald"), seeds=(0,), datasets=(POOL,)
    )  # fmt: skip
    found = section(made, finished(made, tmp_path), list(figures_for(made.plan)))
    assert cells(found, "| bald (MC-dropout) |  |")[3] == "47.85"
    assert cells(found, "| full (MC-dropout) ")[3] == "50.86"
    assert cells(found, "| full | ")[3] == "48.85"
    assert "random (MC-dropout)" not in found


@pytest.mark.parametrize("paper", [[], [PAPER]])
def test_a_study_without_the_papers_settings_has_no_such_section(tmp_path, paper):
    made = MadeStudy(methods=("random",), seeds=(0,))
    store = Store(tmp_path)
    made.commit(store)
    assert list(figures_for(made.plan)) == []
    found = markdown_of(made, store, paper=paper)
    assert "Against the paper" not in found


def test_the_section_follows_the_guide_and_names_departures(tmp_path):
    made = MadeStudy(
        methods=("random", "coreset"), seeds=(0,), datasets=(POOL,), model="deeplabv3plus_tiny"
    )
    store = Store(tmp_path)
    made.commit(store)
    found = markdown_of(made, store, paper=list(figures_for(made.plan)))
    headings = [line for line in found.splitlines() if line.startswith("## ")]
    place = headings.index("## Against the paper")
    assert headings[place - 1 : place + 2] == [
        "## IoU by class",
        "## Against the paper",
        "## Settings",
    ]
    assert "model deeplabv3plus_tiny instead of deeplabv3plus_wrn38" in found
    assert "number of seeds 1 instead of 3" in found
    assert "nan" not in found
