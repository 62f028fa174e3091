"""The YAML that a spec may be written in: the traps of YAML 1.1, and what is refused where."""

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alspec.errors import SpecError
from alspec.spec.load import load_study
from alspec.spec.yaml_text import MAX_BYTES, MAX_DEPTH, parse_yaml

FULL = (Path(__file__).parent / "full.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("5E+2", 500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2020-01-01", "2020-01-01"),
        ("2020-13-45", "2020-13-45"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("10-10", "10-10"),
        ("2-2", "2-2"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  1\n", "1\n"),
        ("١", "١"),
    ],
)
def test_scalars(text, value):
    found = parse_yaml(f"key: {text}", "f").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_finite():
    assert parse_yaml("-.Inf", "f").data == -math.inf
    assert math.isnan(parse_yaml(".NaN", "f").data)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: 1\nb: 2\na: 3", "3:1", "the key `a` is repeated; line 1 has it already"),
        ("x: {a: 1, 'a': 3}", "1:11", "repeated"),
        ("a: !!python/object/apply:os.system [ls]", "1:4", "the tag `!!python/object"),
        ("a: !!str 3", "1:4", "the tag `!!str` is not allowed"),
        ("a: !foo 3", "1:4", "the tag `!foo`"),
        ("a: ! 3", "1:4", "the tag"),
        ("a: &b 3", "1:4", "anchors"),
        ("a: [*b]", "1:5", "aliases"),
        ("<<: {a: 1}", "1:1", "merge keys"),
        ("a: 1\n---\na: 2", "2:1", "a second document"),
        ("1.5: a", "1:1", "`1.5` is not text"),
        ("true: a", "1:1", "`true` is not text"),
        ("~: a", "1:1", "`~` is not text"),
        ("? [a]\n: b", "1:3", "a key must be text"),
        ("a:\n\tb: 1", "2:1", "a tab"),
        ("a: [1,\n  2", "2:4", "not valid YAML"),
        ("a: 'x\n", "2:1", "scanning a quoted scalar that began at line 1"),
        ("a: b: c", "1:5", "mapping values are not allowed here"),
        ("a: @x", "1:4", "not valid YAML"),
        ('a: "\\UFFFFFFFF"', "1:7", "not valid YAML"),
        ('a: "\\ud800"', "1:4", "surrogate"),
        ("a: x\x01y", "1:5", "'\\x01' is not allowed"),
        ("a: " + "9" * 5000, "1:4", "more than 300 digits"),
        ("%YAML 9.0\n---\na: 1", "1:1", "incompatible YAML"),
        ("[" * 5000, f"1:{MAX_DEPTH + 1}", "levels deep"),
        ("a: " * 3 + "1", "1:5", "not valid YAML"),
        ("a: {b: ${X}}", "1:9", "put text with `${...}` in quotes"),
        ("é: 1\r\nb: 2\r\né: 3\r\n", "3:1", "repeated"),
    ],
)
def test_refused(text, place, what):
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f")
    (problem,) = caught.value.problems
    assert problem.where == f"f:{place}"
    assert what in problem.what


def test_every_repeated_key_is_told():
    with pytest.raises(SpecError) as caught:
        parse_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n3.5: 4\n", "f")
    assert [problem.where for problem in caught.value.problems] == ["f:2:1", "f:3:11", "f:4:1"]


def test_aliases_cannot_blow_up():
    text = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50))
    with pytest.raises(SpecError, match="anchors"):
        parse_yaml(text, "f")


def test_depth_that_is_allowed():
    parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f")


def test_excerpt_of_a_long_line_stays_short():
    with pytest.raises(SpecError) as caught:
        parse_yaml("{" + "x" * 300 + ": 1, a: 1, a: 2}", "f")
    line, caret = caught.value.problems[0].excerpt.splitlines()
    assert len(line) < 120
    assert line[caret.index("^")] == "a"


def at(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_study(path)
    (problem,) = caught.value.problems
    return str(problem).replace(str(path), "F")


def test_files_that_are_no_specs(tmp_path):
    path = tmp_path / "spec.yaml"
    assert at(path).startswith("F: no such file")
    assert at(tmp_path).startswith("F: this is a folder")
    assert at(tmp_path / "a\0b").startswith("F: the file cannot be read")
    path.write_bytes(b"study: a\nname: caf\xe9\n")
    assert at(path).startswith("F:2:10: not UTF-8")
    path.write_bytes("study: a".encode("utf-16"))
    assert at(path).startswith("F:1:1: not UTF-8")
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert at(path).startswith("F: larger than 1 MB")
    path.write_bytes(b"# nothing\n")
    assert at(path).startswith("F:1:1: the file is empty")
    path.write_bytes(b"- a\n- b\n")
    assert at(path).startswith("F:1:1: expected keys with values")


def test_byte_order_mark_and_crlf(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode())
    assert load_study(path).study == "full_example"


names = ["study", "datasets", "kind", "toy", "name", "methods", "bald", "budgets", "10-10", "seeds"]
signs = [
    *":-[]{},'\"|>#?%~\n\t",
    ": ",
    "- ",
    "\n  ",
    "${X}",
    "&a",
    "*a",
    "!!x",
    "<<",
    "1e-3",
    "true",
]
words = st.sampled_from([*names, *signs])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.text() | st.lists(words, max_size=40).map("".join))
@example("%")
@example("study: \x85 x")
def test_any_text_is_a_study_or_a_spec_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(SpecError) as caught:
        load_study(path)
    assert all(str(path) in problem.where and problem.what for problem in caught.value.problems)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, len(FULL) - 1), st.integers(0, 20), words | st.characters())
def test_any_edit_of_a_good_spec_is_a_study_or_a_spec_error(tmp_path_factory, start, cut, inserted):
    path = tmp_path_factory.getbasetemp() / "edited.yaml"
    text = FULL[:start] + inserted + FULL[start + cut :]
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_study(path)
    except SpecError as err:
        assert all(problem.where.count(":") == 2 for problem in err.problems)  # noqa: PT017


def test_whole_numbers_are_keys_by_their_digits():
    assert parse_yaml("values: {0: a, 255: b, '7': c}\n", "f").data == {
        "values": {"0": "a", "255": "b", "7": "c"}
    }
    for twice in ("{1: a, 1: b}", "{1: a, '1': b}", "{'1': a, 1: b}"):
        with pytest.raises(SpecError, match="repeated"):
            parse_yaml(twice, "f")
