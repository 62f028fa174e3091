"""Makes docs/images/report.png, the picture of a report, from a study's folder.

    python docs/report_picture.py work_dirs/quickstart

Needs Chromium and Pillow. It shows the report's headline and its first figures.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

OUT = Path(__file__).parent / "images" / "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1000, 2400
SHOWN = """
body { padding: 1.2rem; }
nav, main section:nth-of-type(n + 3) { display: none; }
main section:nth-of-type(2) { margin-top: 1.5rem; }
main section:nth-of-type(2) > :is(h2, h3, details, .note, .scroll) { display: none; }
main section:nth-of-type(2) > .pictures ~ * { display: none; }
"""
"""Leaves the title, the headline and the first group of figures."""


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("study", type=Path, help="a study's folder, with its report.html")
    parser.add_argument("--out", type=Path, default=OUT, help="the PNG; default: %(default)s")
    given = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        parser.error(f"none of {', '.join(BROWSERS)} is installed")
    page = (given.study / "report.html").read_text("utf-8").replace("</style>", f"{SHOWN}</style>")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "report.html").write_text(page, "utf-8")
        subprocess.run(  # noqa: S603 - the browser, on a page of our own
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--disable-background-networking", f"--user-data-dir={home / 'profile'}",
             f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={home / 'shot.png'}",
             (home / "report.html").as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        without_margin(Image.open(home / "shot.png")).save(given.out, optimize=True)


def without_margin(shot: Image.Image) -> Image.Image:
    """The picture down to its last row that is not background, in few colours."""
    shot = shot.convert("RGB")
    blank = Image.new("RGB", shot.size, shot.getpixel((0, shot.height - 1)))
    box = ImageChops.difference(shot, blank).getbbox()
    end = min(shot.height, box[3] + 16) if box else shot.height
    return shot.crop((0, 0, shot.width, end)).quantize(128)


if __name__ == "__main__":
    main()
