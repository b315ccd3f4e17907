"""A real browser: Debian's Chromium, driven by Playwright from an environment of its own."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import venvs

FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE: Final = {"width": 360, "height": 740}
DESK: Final = {"width": 1200, "height": 800}


def chromium() -> str | None:
    """Return the program, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def packages() -> Path:
    """Return the folder of Playwright's environment, and let this process import from it."""
    [found] = venvs.bin_of("browser").parent.glob("lib/python*/site-packages")
    if str(found) not in sys.path:
        sys.path.append(str(found))
    return found


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """Give a browser. It ends with the block."""
    packages()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the environment is made first

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


def complaints(page: Any) -> list[str]:
    """Return what axe-core finds wrong with a page, one line each."""
    source = packages() / "axe_playwright_python" / "axe.min.js"
    page.evaluate(source.read_text("utf-8"))
    options = {"runOnly": {"type": "tag", "values": RULES}}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{one['id']}: {node['html'][:120]}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def shrink(path: Path) -> None:
    """Write a picture again with few colours: a page of text needs no more."""
    packages()
    from PIL import Image  # noqa: PLC0415 - the environment is made first

    with Image.open(path) as picture:
        picture.convert("RGB").quantize(48).save(path, optimize=True)
