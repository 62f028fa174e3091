"""Mutated and fuzzed specs through the command: exit 2, line and column, never a traceback."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alspec.errors import SpecError
from alspec.spec.load import load_study

FULL = (Path(__file__).parent / "full.yaml").read_text()
ROOT = yaml.compose(FULL, Loader=yaml.SafeLoader)
AT_A_PLACE = re.compile(r"spec\.yaml:[1-9]\d*:[1-9]\d*: \S")


def nodes(node):
    """Every key and value of the example: what it is, and its stretch of the text."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield "key", key.value, key.start_mark.index, key.end_mark.index
            yield from nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from nodes(item)
    else:
        yield "value", node.value, node.start_mark.index, node.end_mark.index


NEVER_GOOD = ["!!python/name:os.system", "*alias", "&a x", "{a: {b: 1}}", "[[[]]]", "'", "${", "@"]
"""Put in any value's place these are wrong, whatever the field."""

WORDS = {
    "frames": "redundancy", "every": "redundancy", "toy": "kind", "folder": "kind",
    "images": "unit", "random": "method", "entropy": "method", "bald": "method", "full": "baseline",
    "auto": "precision", "last": "keep",
}  # fmt: skip
"""Values out of a known list, so that a typo has one right answer."""


def edits(word, count, seed):
    """One- and two-letter mistakes of each kind in a word, the same every time."""
    rng = random.Random(f"{word}/{seed}")
    letters = "abcdefghijklmnopqrstuvwxyz_"
    found = set()
    while len(found) < count:
        typo = word
        for _ in range(1 if len(word) < 5 else rng.choice((1, 1, 2))):
            at = rng.randrange(len(typo))
            typo = rng.choice(
                (
                    typo[:at] + typo[at + 1 :],
                    typo[:at] + rng.choice(letters) + typo[at:],
                    typo[:at] + rng.choice(letters) + typo[at + 1 :],
                    typo[:at] + typo[at + 1 : at + 2] + typo[at] + typo[at + 2 :],
                )
            )
        if len(typo) > 1 and typo not in KNOWN:
            found.add(typo)
    return sorted(found)


KNOWN = {word for _, word, *_ in nodes(ROOT)} | {
    "all", "list", "augmented", "path", "uniform", "equal", "coreset", "cityscapes", "voc", "a2d2",
    "size", "none", "n", "seed", "sets", "float32", "bfloat16", "percent", "y", "fall",
    "root", "mask", "image", "step", "steps", "sequences", "frames", "val", "name", "names",
}  # fmt: skip


def mutations():
    """Text, the place of the mistake where only one is right, and the suggestion that is right."""
    for what, word, start, end in nodes(ROOT):
        line, column = FULL.count("\n", 0, start) + 1, start - FULL.rfind("\n", 0, start)
        place = f":{line}:{column}: "
        if what == "value":
            for value in NEVER_GOOD:
                yield FULL[:start] + value + FULL[end:], None, None
            if word in WORDS and (WORDS[word] != "unit" or FULL[start - 6 : start] == "unit: "):
                for typo in edits(word, 6, "value"):
                    yield FULL[:start] + typo + FULL[end:], place, word
        else:
            for typo in edits(word, 6, "key"):
                yield FULL[:start] + typo + FULL[end:], place, word
            yield FULL[:start] + word + FULL[start:end] + FULL[end:], None, None
            yield FULL[:start] + "3" + FULL[end:], None, None


MUTATIONS = list(dict.fromkeys(mutations()))


def said_by(cli, text):
    path = Path("spec.yaml")
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    code, out, err = cli("plan", path)
    assert "Traceback" not in err
    return code, out, err


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_at_least_500():
    typos = [right for _, _, right in MUTATIONS if right]
    assert len(MUTATIONS) >= 900
    assert len(typos) >= 400


@pytest.mark.parametrize("part", range(4))
def test_every_mutation_is_exit_2_with_line_and_column(cli, in_a_folder, part):
    understood, typos, wrong = 0, 0, []
    for text, place, right in MUTATIONS[part::4]:
        code, out, err = said_by(cli, text)
        assert (code, out) == (2, ""), text
        assert AT_A_PLACE.search(err), (text, err)
        if place is None:
            continue
        joined = " ".join(err.split())
        assert f"spec.yaml{place}" in joined, (text, err)
        typos += 1
        hit = f"Did you mean `{right}`?" in joined
        understood += hit
        wrong += [] if hit else [(place, right, text.splitlines()[int(place.split(":")[1]) - 1])]
    assert understood / typos >= 0.95, (understood, typos, wrong)


# ---- fuzzing


def fault_or_study(path, data):
    """Whatever the bytes are: a study, or a SpecError whose every problem has its place."""
    path.write_bytes(data)
    try:
        load_study(path)
    except SpecError as err:
        positions = [problem.where for problem in err.problems if problem.what]
    else:
        return
    assert len(positions) > 0
    assert all(str(path) in place for place in positions)


TOKENS = [
    *sorted({word for _, word, *_ in nodes(ROOT)}),
    *":-[]{},'\"|>#?%&*!~@`=\n\t\r\0", ": ", "- ", "\n  ", "\n    ", "---\n", "...\n", "<<: ", "${",
    "${X}", "${X:-y}", "!!str ", "!!python/object:os.system ", "&a ", "*a", "1e309", "-0", ".nan",
    ".inf", "0x", "9" * 40, "\ufeff", "\u2028", "\x85", "\ud800", "日本", "true", "null", "~",
]  # fmt: skip

pieces = st.lists(st.sampled_from(TOKENS), max_size=60).map("".join)
edited = st.lists(
    st.tuples(st.integers(0, len(FULL)), st.integers(0, 60), st.sampled_from(TOKENS) | st.text()),
    min_size=1,
    max_size=8,
)


def apply(changes):
    text = FULL
    for start, cut, inserted in changes:
        text = text[:start] + inserted + text[start + cut :]
    return text


def encoded(text):
    return text.encode("utf-8", errors="surrogatepass")


anything = (
    st.binary(max_size=300)
    | st.text(max_size=300).map(encoded)
    | pieces.map(encoded)
    | edited.map(apply).map(encoded)
)


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@fuzz(150)
@given(anything)
def test_no_input_crashes(tmp_path_factory, data):
    fault_or_study(tmp_path_factory.getbasetemp() / "fuzzed.yaml", data)


@pytest.mark.nightly
@fuzz(10_000)
@given(anything)
def test_ten_thousand_inputs_crash_nothing(tmp_path_factory, data):
    fault_or_study(tmp_path_factory.getbasetemp() / "fuzzed.yaml", data)
