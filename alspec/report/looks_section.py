"""What there is to look at: the pool in two dimensions, first picks, predictions beside truth."""

from __future__ import annotations

from collections.abc import Iterator

from alspec.report.album import Album
from alspec.report.document import Block, Fold, Heading, Paragraph, Picture, text
from alspec.report.figures.embedding import draw_embedding
from alspec.report.findings import Findings
from alspec.report.setting_results import file_name, title_of
from alspec.results.illustrations import Arm, arm_of
from alspec.results.standings import Comparison, Entry, standing


def looks_section(findings: Findings, album: Album) -> list[Block]:
    """Pictures of the first seed; empty for steps that stored none."""
    blocks: list[Block] = []
    for comparison in findings.compared:
        parts = [
            *_embeddings(findings, comparison, album),
            *_picks(findings, comparison, album),
            *_examples(findings, comparison, album),
        ]
        if parts:
            blocks += [Heading(f"Looked at: {title_of(comparison)}", 3), *parts]
    if not blocks:
        return []
    about = "All of the first seed. Thumbnails are small and encoded anew."
    return [Heading("A look at images and predictions"), Paragraph(about), *blocks]


def _arms(comparison: Comparison) -> Iterator[tuple[Arm, str, str]]:
    """Each SSL arm with what to call it and the end of its file names."""
    for ssl in sorted({entry.ssl for entry in comparison.methods}):
        words, suffix = ("with SSL", "_ssl") if ssl else ("without SSL", "_no-ssl")
        yield arm_of(comparison.setting, ssl, comparison.mc_dropout), words, suffix


def _embeddings(findings: Findings, comparison: Comparison, album: Album) -> Iterator[Block]:
    for arm, words, suffix in _arms(comparison):
        found = findings.illustrations.embeddings.get(arm)
        if found is not None and found.chosen:
            yield album.figure(
                file_name(comparison, "embedding") + suffix,
                f"The pool's features and the first choices, {words}: {title_of(comparison)}",
                "As in the paper's Figure 5: features of the model that is trained on the initial "
                "set, which all methods choose from; their first two principal components.",
                lambda f=found: draw_embedding(f),  # type: ignore[misc]
            )


def _picks(findings: Findings, comparison: Comparison, album: Album) -> Iterator[Block]:
    sheets: list[Picture] = []
    for arm, words, suffix in _arms(comparison):
        for entry in comparison.methods:
            data = findings.illustrations.picks.get((arm, entry.method))
            if data is not None and entry.ssl is arm[3]:
                sheets.append(
                    album.photo(
                        file_name(comparison, f"picks_{entry.method}") + suffix,
                        f"First picks of {text(entry.method)}, {words}",
                        "In the order of choice, from the left.",
                        data,
                    )
                )
    if sheets:
        yield Fold("First picks of each method that looks at images", tuple(sheets))


def _examples(findings: Findings, comparison: Comparison, album: Album) -> Iterator[Block]:
    """Predictions of the method with the highest mean, of Random beside it, and of Full."""
    found = standing(comparison.methods, "miou")
    if found is None:
        return
    shown = [found.best, comparison.reference_of(found.best), *comparison.full]
    entries: dict[tuple[str, bool], Entry] = {e.key: e for e in shown if e is not None}
    for entry in entries.values():
        arm = arm_of(comparison.setting, entry.ssl, comparison.mc_dropout)
        data = findings.illustrations.examples.get((arm, entry.method))
        if data is not None:
            yield album.photo(
                file_name(comparison, f"predictions_{entry.name}"),
                f"Predictions of {text(entry.name)} at its last labelled set",
                "From the left: validation image, truth (black does not count), prediction.",
                data,
            )
