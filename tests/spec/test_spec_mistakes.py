"""Mistakes people make in a spec, with the whole message that each is met with."""

import re
from pathlib import Path

import pytest
from factories.mistakes import make_tree, mistakes

MISTAKES = list(mistakes())
BASE = (Path(__file__).parent / "mistakes_base.yaml").read_text()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    make_tree(folder / "data")
    return folder


@pytest.fixture
def planned(tree, cli, monkeypatch):
    """Plans a spec beside the tree; its exit code, and what was said on standard error."""
    monkeypatch.chdir(tree)
    monkeypatch.delenv("DATA_ROOT", raising=False)

    def planned(text):
        (tree / "spec.yaml").write_text(text)
        code, _, err = cli("plan", "spec.yaml")
        text = "\n".join(line.rstrip() for line in err.rstrip("\n").split("\n"))
        return code, re.sub(
            r"Known: .*\b(entropy|folder)\b.*", "Known: …", text
        )  # and what is installed

    return planned


def test_the_spec_without_a_mistake_is_planned(planned):
    assert planned(BASE) == (0, "")


def test_there_are_sixty_of_them_at_least():
    assert len({mistake.title for mistake in MISTAKES}) >= 60


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_a_mistake_is_told(planned, mistake):
    assert BASE.count(mistake.old) == 1
    assert planned(BASE.replace(mistake.old, mistake.new)) == (2, mistake.said)
