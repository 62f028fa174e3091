"""Completion scripts: every command and option in each, and bash's answers."""

import re
import shutil
import subprocess
import sys

import pytest

from alspec.cli.completion import bash_script, commands_of, fish_script, zsh_script
from alspec.cli.main import app

SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


@pytest.fixture(scope="module")
def commands():
    return list(commands_of(app))


def test_commands_have_the_options_that_they_take(commands, cli):
    for command in commands:
        code, out, _ = cli(*command.path, "--help")
        assert code == 0
        text = re.sub(r"[│╭╰─\s]+", " ", out)
        for option in command.options:
            assert all(f"{name} " in text for name in option.names), (command.path, option)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_command_and_option_is_in_the_script(commands, shell, cli):
    code, script, err = cli("completion", shell)
    assert (code, err) == (0, "")
    assert script == SCRIPTS[shell](commands)
    for command in commands:
        assert all(name in script for name in command.path)
        for option in command.options:
            assert all(name.lstrip("-") in script for name in option.names)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["plu"], {"plugins"}),
        (["plugins", "ch"], {"check"}),
        (["run", "--dev"], {"--devices"}),
        (["report", "--format", ""], {"md", "html", "text"}),
        (["completion", "f"], {"fish"}),
        (["check", "stu"], {"study.yaml"}),
        (["--vers"], {"--version"}),
    ],
)
def test_bash_completes(commands, tmp_path, words, expected):
    (tmp_path / "study.yaml").write_text("")
    quoted = " ".join(f"'{word}'" for word in ("alspec", *words))
    asked = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _alspec; echo ${{COMPREPLY[@]}}"
    said = subprocess.run(
        ["bash", "--norc", "-c", f"{bash_script(commands)}\n{asked}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(said.stdout.split()) == expected


def test_it_loads_neither_pydantic_nor_rich():
    """What makes it quick: 150 ms, most of it Python and typer."""
    code = (
        "import sys; sys.argv = ['alspec', 'completion', 'bash']\n"
        "from alspec.cli.main import main; main()\n"
        "assert not {'pydantic', 'rich', 'torch'} & set(sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.strip() == ""
