"""Bad specs: every mistake at its line and column, in words that say what to do."""

import re
from pathlib import Path

import pytest
import yaml

from alspec.errors import SpecError
from alspec.spec.load import load_study

HERE = Path(__file__).parent
FULL = (HERE / "full.yaml").read_text()


@pytest.fixture
def problems(tmp_path):
    def problems(text):
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        with pytest.raises(SpecError) as caught:
            load_study(path)
        return [
            (problem.where.removeprefix(f"{path}:"), problem) for problem in caught.value.problems
        ]

    return problems


CURATED = [
    # what is replaced, by what, where the mistake is, what is said
    ("study: full_example\n", "", "1:1", "the key `study` is missing (names the results folder)"),
    ("full_example", "full example", "1:8", "study: expected letters, digits and . _ + -"),
    ("full_example", "../up", "1:8", "study: expected letters"),
    ("full_example", "3", "1:8", "study: expected text, got 3; put text like this in quotes"),
    ("full_example", "x" * 81, "1:8", "at most 80 characters, got the text `xxx"),
    ("full_example", "", "1:7", "study: expected text, got nothing"),
    ("full_example", "${USER}", "1:8", "study: `${...}` is allowed in paths only"),
    ("full_example", "a\nepochs: 3", "2:1", "epochs: unknown key."),
    ("kind: toy", "kind: cityscape_x", "4:11", "datasets.0.kind: no dataset kind `cityscape_x`"),
    ("kind: toy", "kind: toi", "4:11", "Did you mean `toy`?"),
    ("kind: toy", "kind: 3", "4:11", "datasets.0.kind: expected text, got 3"),
    ("    kind: toy\n", "", "3:5", "datasets.0: the key `kind` is missing (toy, folder,"),
    ("name: tree", "name: video", "7:5", "datasets.1: the dataset `video` is repeated"),
    ("name: tree", "nam: tree", "7:5", "datasets.1.nam: unknown key. Did you mean `name`?"),
    ("[64, 128]", "[64]", "5:17", "datasets.0.image_size: the list is too short; its item 2"),
    ("[64, 128]", "[64, 128, 3]", "5:17", "at most 2 in the list, got 3"),
    ("[64, 128]", "[64, 4]", "5:22", "datasets.0.image_size.1: expected a number of at least 8"),
    ("[64, 128]", "[64.0, 128]", "5:18", "datasets.0.image_size.0: expected a whole number"),
    (
        "[64, 128]",
        "64x128",
        "5:17",
        "expected height and width, got the text `64x128`. Write `[64, 128]`",
    ),
    ("kind: frames", "kind: frame", "6:24", "Did you mean `frames`? Known: all, every, frames"),
    ("kind: frames, ", "", "6:17", "datasets.0.redundancy: the key `kind` is missing"),
    ("size: 44", "size: 45", "6:17", "45 is not a multiple of 11 (a frame and its 10 followers)"),
    ("size: 44, ", "", "6:17", "the key `size` is missing (images in the pool)"),
    ("seed: 1}", "sed: 1}", "6:59", "datasets.0.redundancy.sed: unknown key. Did you mean `seed`?"),
    ("seed: 1}", "n: 1}", "6:59", "redundancy.n: unknown key."),
    ("n: 5", "n: 0", "13:10", "datasets.1.redundancy.n: expected a number of at least 1, got 0"),
    ("images: train\n", "\n", "7:5", "datasets.1: the key `images` is missing"),
    ("images: val", "image: val", "19:11", "datasets.1.val.image: unknown key. Did you mean `imag"),
    ("images: train", "images: ${X:-train}", "14:13", "`${...}` is allowed in paths only"),
    ("${ALSPEC_TEST_ROOT:-data}", "${ALSPEC_UNSET}", "9:11", "`export ALSPEC_UNSET=...`"),
    ("${ALSPEC_TEST_ROOT:-data}", "${ALSPEC_TEST ROOT}", "9:11", "write `${VAR}` or"),
    ("ignore: 11", "ignore: '11'", "17:13", "datasets.1.ignore: expected a whole number, got the"),
    ("10-10\n", "60-20\n", "21:5", "budget 60-20 ends at 140 % labelled: 60 + 4 x 20"),
    ("10-10\n", "10\n", "21:5", "`10` is not a budget. Write `10-10` (initial and step in percent"),
    ("10-10\n", "10-10-10\n", "21:5", "or {name: 3k, unit: images, initial: 1000, step: 1000"),
    ("10-10\n", "nan-10\n", "21:5", "is not a budget"),
    ("10-10\n", "0-10\n", "21:5", "budgets.0: expected a number greater than 0, got 0"),
    ("name: 3k", "name: 10-10", "22:5", "budgets.1: the budget `10-10` is repeated"),
    ("unit: images", "unit: image", "22:22", "budgets.1.unit: the text `image` is not known. Did"),
    ("initial: 4", "initial: 4.5", "22:5", "budgets.1: a budget in images takes whole numbers"),
    ("initial: 4", "initial: '4'", "22:39", "initial: expected a number, got the text `4`"),
    ("cycles: 3", "cycles: true", "22:59", "cycles: expected a whole number, got true"),
    ("- random\n", "- randm\n", "24:5", "methods.0: no acquisition function `randm`. Did you mean"),
    ("- random\n", "- [random]\n", "24:5", "methods.0: expected a mapping of keys to values, got"),
    ("- random\n", "- {nme: random}\n", "24:6", "methods.0.nme: unknown key. Did you mean `name`?"),
    ("label: sparse", "label: bald", "26:5", "the method `bald` is repeated"),
    ("{every: 5}", "{every: 5.5}", "25:56", "methods.1.candidates.every: expected a whole number"),
    ("passes: 20", "passes: 1", "26:26", "methods.2.passes: expected a number of at least 2, got"),
    ("passes: 20", "passes: '20'", "26:26", "methods.2.passes: expected a whole number, got the"),
    ("passes: 20", "pases: 20", "26:18", "methods.2.pases: unknown key. Did you mean `passes`?"),
    ("[false, true]", "[0, true]", "27:7", "ssl.0: expected true or false, got 0"),
    ("[false, true]", "yes", "27:6", "ssl: expected true or false, got the text `yes`"),
    ("[false, true]", "[true, true]", "27:13", "ssl.1: the value `True` is repeated"),
    ("[full]", "[half]", "28:13", "baselines.0: the text `half` is not known."),
    ("seeds: [0, 1, 2]", "seeds: [0, 1, 0]", "29:15", "the seed `0` is repeated"),
    ("seeds: [0, 1, 2]", "seeds: []", "29:8", "seeds: expected at least 1 in the list, got 0"),
    ("seeds: [0, 1, 2]", "seeds: 3", "29:8", "seeds: expected a list, got 3"),
    ("config: my.py", "confg: my.py", "31:3", "model.confg: unknown key. Did you mean `config`?"),
    ("config: my.py", "config: ''", "31:11", "model.config: the path is empty"),
    ("config: my.py", "config: ${X_UNSET:-}", "31:11", "model.config: `${X_UNSET:-}` is empty"),
    ("epochs: 2", "epochs: 1.5", "35:11", "training.epochs: expected a whole number, got 1.5"),
    ("lr: 1e-3", "lr: -1", "37:7", "training.lr: expected a number greater than 0, got -1"),
    ("lr: 1e-3", "lr: 1e-3x", "37:7", "training.lr: expected a number, got the text `1e-3x`"),
    ("lr: 1e-3", "lr: .inf", "37:7", "training.lr: expected a finite number, got inf"),
    ("momentum: 0.9", "momentum: 1", "39:13", "expected a number less than 1, got 1"),
    ("precision: auto", "precision: bf16", "42:14", "Did you mean `bfloat16`?"),
    ("flip: true", "flip: on", "45:9", "training.flip: expected true or false, got the text `on`"),
    ("threshold: 0.6", "threshold: 60", "49:14", "expected a number of at most 1, got 60"),
    ("miou_at: [30]", "miou_at: [0]", "52:13", "evaluation.miou_at.0: expected a number greater"),
    ("keep: last", "keep: lst", "54:7", "keep: the text `lst` is not known. Did you mean `last`?"),
]


def test_full_example_is_good(tmp_path):
    assert load_study(HERE / "full.yaml").study == "full_example"


@pytest.mark.parametrize(("old", "new", "place", "what"), CURATED)
def test_one_mistake_is_one_problem_at_its_place(problems, monkeypatch, old, new, place, what):
    monkeypatch.delenv("ALSPEC_UNSET", raising=False)
    assert old in FULL
    ((where, problem),) = problems(FULL.replace(old, new, 1))
    assert where == place
    assert what in problem.what
    line, column = map(int, place.split(":"))
    shown, carets, *others = problem.excerpt.splitlines()
    assert len(others) == (2 if "is repeated" in problem.what else 0), "both lines are shown"
    source = FULL.replace(old, new, 1).splitlines()[line - 1]
    assert shown.startswith(f"{line:>5} | ")
    if len(source) <= 100:
        assert shown == f"{line:>5} | {source}".rstrip()
        assert carets.index("^") == len("    1 | ") + column - 1


def test_nothing_of_pydantic_leaks(problems):
    for old, new, _, _ in CURATED:
        for _, problem in problems(FULL.replace(old, new, 1)):
            assert not re.search(
                r"Input should|pydantic|function-|literal\[|\btuple\b|\bdict\b", problem.what
            )


def test_many_mistakes_come_together_in_order(tmp_path):
    """Golden: `many_errors.txt` is what people see of `many_errors.yaml`."""
    path = HERE / "many_errors.yaml"
    with pytest.raises(SpecError) as caught:
        load_study(path)
    shown = str(caught.value).replace(str(path), "many_errors.yaml") + "\n"
    assert shown == (HERE / "many_errors.txt").read_text()


def keys(node):
    """Every key of the example, with its line and column."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, key.start_mark
            yield from keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from keys(item)


def typos(word):
    """One-letter mistakes of each kind, and two of them at once in words long enough to know."""
    middle = len(word) // 2
    letters = [word[:middle] + word[middle + 1 :], word + "s", word[:middle] + "x" + word[middle:]]
    if len(word) > 2:
        letters.append(word[0] + word[2] + word[1] + word[3:])
        letters.append(word[:-1] + "q")
    if len(word) > 4:
        letters += [word[1:-1], word[:2] + "zz" + word[2:], word.replace(word[1], "j", 1) + "e"]
    return sorted({typo for typo in letters if typo and typo != word})


def test_typos_of_every_key_are_found_and_nearly_all_understood(problems):
    root = yaml.compose(FULL, Loader=yaml.SafeLoader)
    found, understood, wrong = 0, 0, []
    for key, mark in keys(root):
        for typo in typos(key):
            text = FULL[: mark.index] + typo + FULL[mark.index + len(key) :]
            place = f"{mark.line + 1}:{mark.column + 1}"
            said = [problem.what for where, problem in problems(text) if where == place]
            assert any("unknown key" in what for what in said), (key, typo)
            found += 1
            right = any(what.endswith(f"Did you mean `{key}`?") for what in said)
            understood += right
            wrong += [] if right else [(key, typo, said)]
    assert found > 300
    assert understood / found >= 0.95, wrong


def test_a_typo_is_one_problem(problems):
    assert len(problems(FULL.replace("study:", "stduy:"))) == 1
