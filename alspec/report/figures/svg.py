"""Turns matplotlib's SVG into one that needs no style sheet, and fits into a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_FONT = re.compile(r"([\d.]+)px ")
_FAMILY = "'DejaVu Sans', Verdana, sans-serif"
_DEFAULTS = {
    "opacity": "1", "fill-opacity": "1", "stroke-opacity": "1", "stroke-dasharray": "none",
    "font-style": "normal", "font-weight": "400",
}  # fmt: skip
_WIDTH = re.compile(r'^(<svg [^>]*?) ?width="\d+"')
_LAST_DIGITS = re.compile(r"-?\d+\.\d{3,}")

PAGE_COLOURS = {
    '"#000000"': '"currentColor"',
    '"#ffffff"': '"var(--paper, #fff)"',
    '"#e4e4e4"': '"var(--grid, #e4e4e4)"',
    '"#767676"': '"var(--muted, #767676)"',
    '"#0072b2"': '"var(--blue, #0072b2)"',
    '"#009e73"': '"var(--green, #009e73)"',
    '"#d55e00"': '"var(--red, #d55e00)"',
}
"""Colours of figures that follow the page's, and what they are without its style sheet."""


def plain_svg(svg: bytes) -> bytes:
    """An SVG of presentation attributes alone: no style, no metadata, no second namespace.

    Args:
        svg: as matplotlib writes it, with text as text.
    """
    from xml.etree import ElementTree

    root = ElementTree.fromstring(svg)  # noqa: S314 - our own, never a user's file
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _flatten(element)
    for side in ("width", "height"):
        root.set(side, f"{float(root.attrib[side].removesuffix('pt')) * 96 / 72:.0f}")
    root.attrib.pop("version", None)
    root.set("font-family", _FAMILY)
    root.set("stroke-linejoin", "round")
    root.set("fill", "#000000")
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _flatten(element: ElementTree.Element) -> None:
    style = element.attrib.pop("style", "")
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        name, _, value = declaration.partition(":")
        name, value = name.strip(), value.strip()
        if name == "font":
            found = _FONT.search(value)
            element.set("font-size", found[1] if found else "9")
            if "bold" in value or value.startswith("700"):
                element.set("font-weight", "bold")
        elif name != "font-family" and _DEFAULTS.get(name) != value:
            element.set(name, value)
    link = element.attrib.pop(_XLINK, None)
    if link is not None:
        element.set("href", link)
    for name in ("d", "x", "y", "points", "transform"):
        if name in element.attrib:
            element.set(name, _LAST_DIGITS.sub(_rounded, element.attrib[name]))
    identity = element.attrib.get("id", "")
    if element.tag == f"{{{_SVG}}}g" and identity:
        del element.attrib["id"]  # names of matplotlib's layers; nothing links to them


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def inline_svg(svg: bytes, prefix: str, title: str) -> str:
    """An SVG as part of an HTML page that has others: its own ids, the page's colours, a title.

    It is as wide as there is room, so that without a style sheet it fits a phone, too.

    Args:
        svg: as `plain_svg` gives it.
        prefix: of ids, unlike those of the page's other figures.
        title: what it shows, escaped for an attribute.
    """
    page = svg.decode()
    page = re.sub(r'(\bid="|href="#|url\(#)', lambda found: found[1] + prefix + "-", page)
    for colour, follows in PAGE_COLOURS.items():
        page = re.sub(colour, follows, page, flags=re.IGNORECASE)
    page = page.replace(f' xmlns="{_SVG}"', "", 1).strip()
    page = _WIDTH.sub(r'\1 width="100%" preserveAspectRatio="xMinYMin meet"', page, count=1)
    return page.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
