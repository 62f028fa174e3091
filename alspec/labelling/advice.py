"""Which method a project continues with: the named one, or the guide's for what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from alspec.plan.kinds.pool import PoolFacts
from alspec.recommend.advise import Answer, Known, MeasuredPool
from alspec.recommend.guide import Entry, Facts, advise, level_of_budget
from alspec.recommend.table6 import Level
from alspec.spec.method import Method, method_from_yaml, method_of
from alspec.spec.project import AUTO, Project


@dataclass(frozen=True)
class Choice:
    """A method, whether its model is trained with SSL, and why.

    Attributes:
        method: what chooses.
        ssl: train with s4GAN.
        reasons: sentences for `batch.json` and the report.
        entry: the guide's cell it acts on; None for a method that the user named.
    """

    method: Method
    ssl: bool
    reasons: tuple[str, ...]
    entry: Entry | None = None

    def to_json(self) -> dict[str, object]:
        """Plain data, as in `batch.json`."""
        return {
            "method": self.method.name,
            "params": self.method.params,
            "ssl": self.ssl,
            "reasons": list(self.reasons),
            "advice": self.entry.to_json() if self.entry else None,
        }


def choose_method(project: Project, named: str | None, pool: PoolFacts, labelled: int) -> Choice:
    """The method to choose the next batch with.

    Args:
        project: names it, or leaves it to the guide.
        named: comes before the project's.
        pool: all images, as measured.
        labelled: images that will be labelled after this batch.
    """
    measured = pool.redundancy if pool.redundancy in ("low", "high") else None
    level = cast("Level | None", measured)
    percent = 100 * labelled / pool.images
    budget = level_of_budget(min(100.0, percent), labelled)
    allowed = None if project.ssl == AUTO else bool(project.ssl)
    facts = Facts(redundancy=level or "high", budget=budget, ssl=allowed is not False)
    entry = advise(facts).entries[0]
    ssl = entry.use_ssl if allowed is None else allowed
    method = method_from_yaml(named) if named else project.method
    if isinstance(method, Method):
        asked = "on the command line" if named else "in the project"
        return Choice(method, ssl, (f"{method.label} is named {asked}",))
    known = f"measured {level}" if level else "not clear from the images, taken as high"
    spent = f"between low and high, taken as {entry.budget}" if budget == "between" else budget
    views = f", on {pool.distinct_views:,} distinct views" if pool.distinct_views else ""
    reasons = (
        f"redundancy {known}; budget {spent}: {labelled:,} labels on {pool.images:,} images "
        f"after this batch ({percent:.1f} %){views}",
        f"the guide (Table 6) advises {entry.label}: {entry.methods[0]}"
        + (" with SSL" if ssl else ""),
        entry.summary,
    )
    return Choice(method_of({"name": entry.methods[0]}), ssl, reasons, entry)


def guide_answer(
    project: Project, pool: PoolFacts, labelled: int, known: Known, chosen: str
) -> Answer:
    """Every cell of the guide that fits a project, and what its next batch is chosen by.

    Args:
        project: says whether SSL is allowed, and what chooses.
        pool: all images, as measured.
        labelled: images that will be labelled after the next batch.
        known: comes before what is measured.
        chosen: how the next batch is chosen, in words.
    """
    percent = min(100.0, 100 * labelled / pool.images)
    allowed = known.ssl if known.ssl is not None or project.ssl == AUTO else bool(project.ssl)
    facts = Facts.model_validate(
        {
            "redundancy": known.redundancy or pool.redundancy,
            "budget": known.budget or level_of_budget(percent, labelled),
            "ssl": allowed,
        }
    )
    measured = MeasuredPool.of_facts(project.dataset.name, "all", pool)
    words = f" {measured.redundancy.in_words()}" if measured else ""
    title = (
        f"{project.project}: redundancy {facts.redundancy}.{words} The budget after the next "
        f"batch: {labelled:,} labels, {percent:.1f} % of the images. The next batch is chosen by "
        f"{chosen}"
    )
    return Answer(title, advise(facts), measured)
