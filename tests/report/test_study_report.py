"""`ALSPEC_UPDATE_GOLDEN=1 pytest tests/report` writes the golden report anew; read its diff."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from factories.reports import markdown_of
from factories.study import CAMVID, MadeStudy

from alspec.report.album import Album
from alspec.report.findings import read_findings
from alspec.report.guidance import Guidance
from alspec.report.publish import publish
from alspec.report.selection_section import selection_section
from alspec.results.table import collect
from alspec.spec.model import Budget, Evaluation

GOLDEN = Path(__file__).parents[1] / "golden" / "report.md"
ADVICE = Guidance(
    "camvid", "10-10", "high", "high", False, "batch", False, "Batch", ("coreset",),
    "In 5 settings it is never below the best.", ("<b>Volatile</b> with few labels.",),
)  # fmt: skip


def report_of(made, folder, **options):
    return markdown_of(made, folder.store, **options)


def test_report_is_the_golden_one(tmp_path):
    made = MadeStudy(
        methods=("random", "entropy", "coreset"), dropout=("random", "bald"), seeds=(0, 1, 2)
    )
    folder = made.in_folder(
        tmp_path,
        lambda run, labelled: (run.method, run.seed, labelled.cycle) != ("entropy", 1, 4),
    )
    found = report_of(made, folder, guidance=[ADVICE])
    if os.environ.get("ALSPEC_UPDATE_GOLDEN"):
        GOLDEN.write_text(found, "utf-8")
    assert found == GOLDEN.read_text("utf-8")


def test_the_report_counts_what_is_missing(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), ssl=(False,), seeds=(0, 1))
    folder = made.in_folder(tmp_path, lambda run, labelled: labelled.cycle < 3)
    found = report_of(made, folder)
    assert "**8 of 22 labelled sets are not there yet.**" in found
    assert "| camvid, 10-10 | entropy | 4 of 10 |" in found


def test_a_finished_study_misses_nothing(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), ssl=(False,), seeds=(0,))
    assert "What is missing" not in report_of(made, made.in_folder(tmp_path))


def test_nothing_finished_is_a_report_all_the_same(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), seeds=(0,))
    folder = made.in_folder(tmp_path, lambda run, labelled: False)
    found = report_of(made, folder, guidance=[ADVICE])
    assert "**22 of 22 labelled sets are not there yet.**" not in found
    assert "**21 of 21 labelled sets are not there yet.**" in found
    assert "No method has reached 30 % labelled yet" in found
    assert "nan" not in found


def test_only_the_best_of_comparable_methods_is_bold(tmp_path):
    made = MadeStudy(methods=("random", "coreset"), dropout=("random", "bald"), seeds=(0, 1, 2))
    found = report_of(made, made.in_folder(tmp_path))
    results = found.partition("## Results")[2].partition("## ")[0] + found.partition("### ")[2]
    rows = [line for line in results.splitlines() if line.startswith("| ") and "mIoU" not in line]
    bold = [row.split("|")[1].strip() for row in rows if "**" in row]
    assert bold == ["coreset", "bald"]
    assert len([row for row in rows if row.startswith("| full | - |")]) == 2


def test_unlike_seeds_make_no_method_bold(tmp_path):
    made = MadeStudy(methods=("random", "coreset"), ssl=(False,), seeds=(0, 1))
    folder = made.in_folder(tmp_path, lambda run, s: (run.method, run.seed) != ("random", 1))
    rows = [row for row in report_of(made, folder).splitlines() if row.startswith("| coreset ")]
    assert rows
    assert not any("**" in row for row in rows)


def test_a_budget_without_the_wanted_percentage_shows_its_last(tmp_path):
    made = MadeStudy(
        methods=("random", "coreset"), seeds=(0,), evaluation=Evaluation(miou_at=(33.0,), auc=False)
    )
    found = report_of(made, made.in_folder(tmp_path))
    assert "| Method | S/B | SSL | mIoU@50 |" in found
    assert "AUC@50" not in found


def test_each_setting_has_a_table_and_a_figure(tmp_path):
    made = MadeStudy(
        methods=("random", "entropy"),
        seeds=(0,),
        budgets=(Budget(name="10-10", initial=10, step=10), Budget(name="2-2", initial=2, step=2)),
    )
    folder = made.in_folder(tmp_path)
    path = publish(made.plan, folder)
    found = path.read_text("utf-8")
    assert path == folder.report
    images = re.findall(r"!\[.*\]\((.*)\)", found)
    assert {"figures/camvid_10-10_curves.svg", "figures/camvid_2-2_curves.svg"} <= set(images)
    assert len(images) == len(set(images))
    for image in images:
        assert (folder.root / image).is_file()
        assert (folder.root / image).with_suffix(".png").is_file()
    assert "mIoU@6 | AUC@10" in found
    assert folder.table("results").is_file()


def test_many_settings_open_with_a_table_and_say_each_thing_once(tmp_path):
    folders = [CAMVID.model_copy(update={"name": name}) for name in ("a", "b")]
    made = MadeStudy(
        methods=("random", "coreset"), dropout=("bald",), seeds=(0,), datasets=tuple(folders)
    )
    advice = [replace(ADVICE, dataset=name) for name in ("a", "b")]
    found = report_of(made, made.in_folder(tmp_path), guidance=advice)
    opening, results = found.split("## Results")
    assert len([line for line in opening.splitlines() if line.startswith("| ")]) == 2 + 4
    assert "No decision" not in opening
    assert results.count("No decision") == 4
    assert found.count("Volatile") == found.count("the guide advises") == 1
    assert found.count("Dropout layers") == 1


def test_images_of_their_own_size_are_said_to_be(tmp_path):
    own = CAMVID.model_copy(update={"image_size": None})
    made = MadeStudy(methods=("random",), seeds=(0,), datasets=(own,))
    found = report_of(made, made.in_folder(tmp_path))
    assert "| Dataset camvid | folder, images of their own size" in found


def test_class_names_cannot_break_the_table_and_places_stay_private(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), seeds=(0,))
    found = report_of(made, made.in_folder(tmp_path))
    assert "| &lt;b&gt;sky&lt;/b&gt; |" in found
    assert "| pole\\|\\`thin\\` |" in found
    assert "<b>" not in found
    assert "/secret" not in found


def test_importing_the_report_loads_neither_matplotlib_nor_pandas_nor_torch():
    heavy = (
        "import sys, alspec.report.study_report as m; print([n for n in ('matplotlib', 'pandas', "
    )
    heavy += "'torch') if n in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", heavy], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_views_are_counted_where_neighbours_are_alike(tmp_path):
    made = MadeStudy(methods=("random", "coreset"), seeds=(0,), pool_images=40, listed=True)
    store = made.in_folder(tmp_path).store
    findings = read_findings(made.plan, store, collect(made.plan, store))
    unlike = {key: replace(facts, neighbours=0.0) for key, facts in findings.pools.items()}
    shown = [
        {getattr(block, "name", "") for block in selection_section(found, Album())}
        for found in (findings, replace(findings, pools=unlike))
    ]
    assert shown[0] - shown[1] == {"camvid_10-10_views"}
    assert shown[1] >= {"camvid_10-10_overlap", "camvid_10-10_bought"}
