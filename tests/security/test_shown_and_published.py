"""What is printed and published carries nothing out and gives nothing away."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import yaml
from factories.folder_tree import folder_tree
from factories.toy import TOY
from rich.table import Table

from alspec import api
from alspec.cli import console
from alspec.cli.console import SafeConsole, say_error, say_finding, say_note, say_table
from alspec.datasets.files.splitting import ListedNames
from alspec.errors import InputError, SpecError
from alspec.report.markdown import inline
from alspec.results.table import _cell
from alspec.system.printable import ERRORS, printable, register_plain_output, table_cell

ESCAPES = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;mine\x07",
    "clear": "\x1b[2J\x1b[H",
    "link": "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZWNobw==\x07",
    "8-bit": "\x9b31mred",
    "8-bit string": "\x9d0;mine\x9c",
    "back": "good\x08\x08\x08\x08bad",
    "return": "good\rbad ",
    "bell": "\x07",
    "null": "a\x00b",
    "right to left": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "mark": "\u200ex",
    "no width": "a\u200bb",
    "line": "a\u2028b",
    "delete": "a\x7fb",
    "not text": "a\udce9b",
    "device": "\x1bP1$r\x1b\\",
    "shift": "\x0e",
}
FORMULAS = [
    '=HYPERLINK("http://x","y")', "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1",
    "=cmd|' /C calc'!A0", "-a", "+b",
]  # fmt: skip
LINKS = ["https://evil.example", "http://a.b", "www.evil.example", "ftp://a.b", "mailto:a@b.cd",
         "a@b.cd", "@someone", "see @someone/team"]  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_that_a_terminal_carries_out_reaches_it(name, monkeypatch):
    """16 of 20 did."""
    text = ESCAPES[name]
    written = io.StringIO()
    terminal = SafeConsole(file=written, force_terminal=True, soft_wrap=True, no_color=True)
    monkeypatch.setattr(console, "out", terminal)
    monkeypatch.setattr(console, "err", terminal)
    say_error(InputError.at(text, f"`{text}` is bad"))
    say_note(text)
    say_table(text, (text,), [(text,)])
    say_finding("+", text, text)
    terminal.print(text, markup=False)
    harmful = {sign for sign in text if printable(sign) != sign}
    assert harmful
    shown = written.getvalue()
    for ours in ("\x1b[1m", "\x1b[0m", "\x1b[3m", "\x1b[1;31m", "\x1b[33m", "\x1b[31m"):
        shown = shown.replace(ours, "") if ours not in text else shown
    assert not [sign for sign in harmful - {"\x1b"} if sign in shown]
    assert text not in shown


def test_line_feeds_tabs_and_letters_stay():
    text = "wörld\n\t漢字 ✓"
    assert printable(text) == text
    assert isinstance(Table(), Table)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_table_holds_no_formula(text):
    assert table_cell(text) == f"'{text}"
    assert _cell("dataset", text).startswith("'")


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "12", "a=b", "x-1", "", ".5", "10-10"])
def test_numbers_and_names_stay_as_they_are_in_a_table(text):
    assert table_cell(text) == text


@pytest.mark.parametrize("text", LINKS)
def test_markdown_makes_no_link_and_notifies_nobody(text):
    shown = inline(text)
    for live in ("://", "www.", "@some", "a@b", "mailto:"):
        assert live not in shown
    assert "some" not in text or "@<!-- -->someone" in shown


SECRET_FILES = [
    "root:x:0:0:root:/root:/bin/bash\n", "API_TOKEN=abc123\n", "password = hunter2\n",
    "AAAAB3NzaC1yc2EAAAADAQABAAABgQC7vbqajDhA9Zl0q0cXo4k2y8zq1v6mM0nN8w==\n",
]  # fmt: skip


@pytest.mark.parametrize("content", SECRET_FILES, ids=["passwd", "env", "ini", "key"])
@pytest.mark.parametrize("key", ["redundancy", "split"])
def test_a_list_s_path_prints_no_lines_of_other_files(tmp_path, content, key):
    path = tmp_path / "list.txt"
    path.write_text(content)
    dataset = folder_tree(tmp_path / "data")
    if key == "redundancy":
        dataset["redundancy"] = {"kind": "list", "path": str(path)}
        study = tmp_path / "s.yaml"
        study.write_text(yaml.safe_dump({**TOY, "datasets": [dataset]}))
        with pytest.raises(InputError) as caught:
            api.plan(api.load(study))
        said = str(caught.value)
    else:
        said = "\n".join(str(problem) for problem in ListedNames(path, ("split",)).problems())
    assert content.strip()[:12] not in said
    assert "list.txt:1" in said


@pytest.mark.parametrize(
    "name", ["TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "API_KEY"]
)
def test_a_variable_that_reads_like_a_secret_is_not_expanded(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "hunter2")
    dataset = {**folder_tree(tmp_path / "data"), "root": f"${{{name}}}/x"}
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TOY, "datasets": [dataset]}))
    with pytest.raises(SpecError, match="looks like the name of a secret") as caught:
        api.load(path)
    assert "hunter2" not in str(caught.value)


def test_a_variable_of_a_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("MONKEY_ROOT", str(tmp_path / "data"))
    dataset = {**folder_tree(tmp_path / "data"), "root": "${MONKEY_ROOT}"}
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TOY, "datasets": [dataset]}))
    assert api.load(path).datasets[0].root == str(tmp_path / "data")


@pytest.mark.parametrize("linked", ["images", "images/a_000.bmp", "masks/a_001.bmp", "val/masks"])
def test_a_link_out_of_the_root_is_followed_only_if_the_spec_says_so(tmp_path, linked):
    dataset = folder_tree(tmp_path / "data")
    path = tmp_path / "data" / linked
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    spec = tmp_path / "s.yaml"
    spec.write_text(yaml.safe_dump({**TOY, "datasets": [dataset]}))
    with pytest.raises(InputError, match="`follow_links: true`"):
        api.plan(api.load(spec))
    followed = api.plan(api.load(spec, {"datasets.*.follow_links": True}))
    path.unlink()
    (tmp_path / "outside").rename(path)
    assert api.plan(api.load(spec)).steps.keys() == followed.steps.keys()


def test_a_link_inside_the_root_is_followed(tmp_path):
    dataset = folder_tree(tmp_path / "data")
    (tmp_path / "data" / "images").rename(tmp_path / "data" / "pictures")
    (tmp_path / "data" / "images").symlink_to("pictures")
    spec = tmp_path / "s.yaml"
    spec.write_text(yaml.safe_dump({**TOY, "datasets": [dataset]}))
    assert api.plan(api.load(spec)).steps


# ---- locales


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_signs_come_out_in_any_locale(encoding):
    register_plain_output()
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors=ERRORS)
    stream.write("✓ ● ± 漢 \udce9")
    stream.flush()
    said = stream.buffer.getvalue().decode(encoding)
    assert said.startswith("+ # ")
    assert said.endswith(r"\u6f22 \udce9")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_status_does_not_end_in_a_traceback_where_output_is_not_utf_8(alspec, encoding, tmp_path):
    ended = alspec("status", "--work-dir", tmp_path, env={"PYTHONIOENCODING": encoding})
    assert (ended.returncode, ended.stderr) == (0, "")
    code = (
        "from alspec.cli.process import prepare_streams; prepare_streams()\n"
        "from alspec.cli.console import say_table; say_table('t', ('a',), [('●○ ✓',)])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env={"PYTHONIOENCODING": encoding, "PATH": ""},
    )  # fmt: skip
    assert b"#. +" in shown.stdout
