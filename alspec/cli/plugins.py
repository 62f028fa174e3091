"""The commands about plugins: list them, check one, write a new one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from alspec import plugins
from alspec.cli import console
from alspec.errors import ExitCode


def list_plugins(groups: Sequence[str], *, as_json: bool) -> None:
    """Print the plugins of some groups; a broken one is shown with what is wrong."""
    from alspec.spec.plugin_facts import facts_of

    found = list(facts_of(groups))
    if as_json:
        console.say_json([facts.to_json() for facts in found])
        return
    header = ("name", "kind", "package", "parameters", "about")
    rows = [(f.name, f.kind, f.package, ", ".join(map(str, f.parameters)), f.about) for f in found]
    console.say_table("", header, rows)


def check(name: str, seconds: float, memory_gib: float, *, as_json: bool) -> ExitCode:
    """Try a plugin apart and print what it breaks; BAD_INPUT where that is anything."""
    from alspec.run.plugin_trial import try_plugin

    group = plugins.group_of(name)
    problems = try_plugin(group, name, seconds, memory_gib)
    if as_json:
        console.say_json({"name": name, "plugin": plugins.maker(group, name), "problems": problems})
    else:
        for problem in problems:
            console.say_finding("[red]✗[/]", name, problem)
        end = (
            f"violates its contract in {len(problems)} points"
            if problems
            else "fulfils its contract"
        )
        console.out.print(f"{plugins.maker(group, name)} {end}", markup=False)
    return ExitCode.BAD_INPUT if problems else ExitCode.DONE


def new(name: str, folder: Path) -> None:
    """Write a package and print the next commands."""
    from alspec.acquisition.new_package import write_package

    made = write_package(name, folder)
    steps = (
        f"pip install -e {shlex.quote(f'{made}[test]')}",
        f"pytest {shlex.quote(str(made))}",
        f"alspec plugins check {name}",
        f"methods: [random, {name}]   # in a spec",
    )
    console.out.print("\n".join((f"{made} written. Next:", *steps)), markup=False)
