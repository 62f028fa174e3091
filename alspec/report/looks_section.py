"""What there is to look at: the pool in two dimensions, first picks, predictions beside truth."""

from __future__ import annotations

from collections.abc import Iterator

from alspec.datasets.files.palette import far_apart, hex_of
from alspec.report.album import Album
from alspec.report.document import Block, Fold, Heading, Paragraph, Picture, text
from alspec.report.figures.colour_key import draw_colour_key
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
            blocks += [Heading(f"Images: {title_of(comparison)}", 3), *parts]
    if not blocks:
        return []
    about = "All of the first seed. Thumbnails are small and encoded anew."
    return [Heading("A look at images and predictions"), Paragraph(about), *blocks]


def _arms(comparison: Comparison) -> Iterator[tuple[Arm, str, str]]:
    """Each SSL arm with what to add to a title, where there are two, and to its file names."""
    arms = sorted({entry.ssl for entry in comparison.methods})
    for ssl in arms:
        words, suffix = (", with SSL", "_ssl") if ssl else (", without SSL", "_no-ssl")
        arm = arm_of(comparison.setting, ssl, comparison.mc_dropout)
        yield arm, words if len(arms) > 1 else "", suffix


def _embeddings(findings: Findings, comparison: Comparison, album: Album) -> Iterator[Block]:
    for arm, words, suffix in _arms(comparison):
        found = findings.illustrations.embeddings.get(arm)
        if found is not None and found.chosen:
            yield album.figure(
                file_name(comparison, "embedding") + suffix,
                f"The pool's features and the first choices{words}: {title_of(comparison)}",
                "As in the paper's Figure 5: features of the model that is trained on the initial "
                "set, which all methods choose from; their first two principal components.",
                lambda f=found: draw_embedding(f),  # type: ignore[misc]
            )


def _picks(findings: Findings, comparison: Comparison, album: Album) -> Iterator[Block]:
    sheets: list[Picture] = []
    alike: set[str] = set()  # methods that need no model choose alike in every arm
    for arm, words, suffix in _arms(comparison):
        for entry in comparison.methods:
            data = findings.illustrations.picks.get((arm, entry.method))
            if data is not None and entry.ssl is arm[3] and entry.method not in alike:
                same = entry.family == "random"
                alike |= {entry.method} if same else set()
                sheets.append(
                    album.photo(
                        file_name(comparison, f"picks_{entry.method}") + ("" if same else suffix),
                        f"First picks of {text(entry.method)}" + ("" if same else words),
                        "In the order of choice, from the left.",
                        data,
                    )
                )
    if sheets:
        yield Fold("First picks of each method", tuple(sheets))


def _examples(findings: Findings, comparison: Comparison, album: Album) -> Iterator[Block]:
    """Predictions of the method with the highest mean, of Random beside it, and of Full."""
    found = standing(comparison.methods, "miou")
    if found is None:
        return
    shown = [found.best, comparison.reference_of(found.best), *comparison.full]
    entries: dict[tuple[str, bool], Entry] = {e.key: e for e in shown if e is not None}
    sheets: list[Block] = []
    for entry in entries.values():
        arm = arm_of(comparison.setting, entry.ssl, comparison.mc_dropout)
        data = findings.illustrations.examples.get((arm, entry.method))
        if data is not None:
            sheets.append(
                album.photo(
                    file_name(comparison, f"predictions_{entry.name}"),
                    f"Predictions of {text(entry.name)} at its last labelled set",
                    "From the left: validation image, truth, prediction.",
                    data,
                )
            )
    if sheets:
        yield from sheets
        yield _colour_key(findings, comparison, found.best, album)


def _colour_key(findings: Findings, comparison: Comparison, entry: Entry, album: Album) -> Picture:
    """What the colours of predictions mean."""
    names = findings.classes_of(comparison, entry)["class"].unique()
    colours = {text(name): hex_of(far_apart(rank)) for rank, name in enumerate(names)}
    colours["does not count"] = "#010101"  # black that stays black on a dark page
    return album.figure(
        file_name(comparison, "colours"),
        f"Classes by colour: {title_of(comparison)}",
        "",
        lambda: draw_colour_key(colours),
    )
