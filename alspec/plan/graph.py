"""The plan as a picture in text: a Mermaid flowchart of its steps."""

from __future__ import annotations

from collections.abc import Container

from alspec.plan.dag import Plan


def mermaid(plan: Plan, done: Container[str]) -> str:
    """A Mermaid flowchart, one node a step, named by the first digits of its key."""
    lines = ["flowchart LR", "  classDef done fill:#d9f2d9,stroke:#2e7d32"]
    for step in plan.in_order():
        label = step.label.replace('"', "'")
        lines.append(f'  s{step.key[:12]}["{label}"]{":::done" if step.key in done else ""}')
    for step in plan.in_order():
        lines += [f"  s{source[:12]} --> s{step.key[:12]}" for source in step.inputs.values()]
    return "\n".join(lines) + "\n"
