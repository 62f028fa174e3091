"""The HTML report in a browser: axe-core finds nothing serious, nothing fails or is fetched.

Needs Chromium, and axe-core's axe.min.js named by ALSPEC_AXE (`npm install axe-core`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from factories.study import MadeStudy

from alspec.report.publish import publish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
AXE = Path(os.environ.get("ALSPEC_AXE", "node_modules/axe-core/axe.min.js"))
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
RUN = """
addEventListener('load', () => axe.run({resultTypes: ['violations']}).then(found => {
  const pre = document.createElement('pre');
  pre.id = 'axe';
  pre.textContent = JSON.stringify(found.violations.map(v => [v.impact, v.id,
    v.nodes.slice(0, 5).map(n => n.html.slice(0, 200))]));
  document.body.append(pre);
}));
"""

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = MadeStudy(
        methods=("random", "entropy", "equal", "coreset"), dropout=("random", "bald"),
        seeds=(0, 1, 2), pool_images=200, listed=True,
    )  # fmt: skip
    folder = made.in_folder(tmp_path_factory.mktemp("study"))
    publish(made.plan, folder)
    return folder.report_html


def browsed(path, home, *options):
    """The DOM that the browser made of a page, and what it logged."""
    done = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={home}", "--virtual-time-budget=30000", *options, "--dump-dom",
         path.as_uri()],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed; see ALSPEC_AXE")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_serious(page, tmp_path, width, dark):
    checked = tmp_path / "checked.html"
    scripts = f"<script>{AXE.read_text('utf-8')}</script><script>{RUN}</script></head>"
    checked.write_text(
        POLICY.sub("", page.read_text("utf-8")).replace("</head>", scripts, 1), "utf-8"
    )
    options = [f"--window-size={width},3000"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    dom, _ = browsed(checked, tmp_path / "home", *options)
    found = re.search(r'<pre id="axe">(.*?)</pre>', dom, re.DOTALL)
    assert found, "axe did not run"
    violations = json.loads(
        found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    )
    assert [v for v in violations if v[0] in ("serious", "critical")] == []


def test_nothing_fails_and_nothing_is_asked_for(page, tmp_path):
    log = tmp_path / "net.json"
    dom, logged = browsed(page, tmp_path / "home", f"--log-net-log={log}")
    assert "CONSOLE" not in logged
    assert dom.count("<svg") == page.read_text("utf-8").count("<svg ") > 5
    asked = re.findall(r'"url":"(https?://[^"]+)"', log.read_text("utf-8", errors="replace"))
    own = ("google", "gstatic", "chrome")  # what the browser itself asks for at its start
    assert [url for url in asked if not any(name in url for name in own)] == []
