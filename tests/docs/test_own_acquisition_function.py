"""The page on own acquisition functions is true: its code keeps the contract, its names exist."""

import re
from pathlib import Path

from alspec.acquisition import base
from alspec.acquisition.conformance import broken_duties
from alspec.acquisition.synthetic import SyntheticOutputs

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-acquisition-function.md"
TEXT = PAGE.read_text("utf-8")


def test_its_method_keeps_the_contract():
    (code,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    namespace = {}
    exec(compile(code, PAGE.name, "exec"), namespace)
    assert broken_duties(namespace["Doubt"]) == []


def test_it_names_every_need_and_what_it_gives():
    rows = dict(re.findall(r"^\| `([A-Z]+)` \| `outputs\.(\w+)`", TEXT, re.MULTILINE))
    assert set(rows) == {need.name for need in base.Need}
    for name in rows.values():
        assert hasattr(SyntheticOutputs, name)
        assert hasattr(base.Outputs, name)


def test_its_commands_exist(cli):
    for words in re.findall(r"^alspec ([a-z]+ [a-z]+) ", TEXT, re.MULTILINE):
        assert cli(*words.split(), "--help")[0] == 0
