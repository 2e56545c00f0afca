"""A real browser for tests: Debian's chromium, driven by Playwright; it notes whatever the pages complain of."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = "EDGECAM_AXE"
"""Names the file axe.min.js of the npm package axe-core."""
LIMIT_MS = 30_000


def require_browser() -> None:
    """Skip where there is none."""
    pytest.importorskip("playwright", reason="no Playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")


@dataclass
class Seen:
    """What a browser complained of."""

    complaints: list[str] = field(default_factory=list)

    def note(self, complaint: str, really: bool = True) -> None:  # noqa: FBT001
        """Remember a complaint, if it is one."""
        if really:
            self.complaints.append(complaint)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Containers run as root, where chromium's own sandbox cannot be; what it shows here is ours.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def opened(chromium: Any, address: str, **options: Any) -> Iterator[tuple[Any, Seen]]:
    """A fresh page, and what it complains of: errors in scripts and in the console, requests refused or failed."""
    context = chromium.new_context(**{"base_url": address, "locale": "en-GB", "reduced_motion": "reduce"} | options)
    context.set_default_timeout(LIMIT_MS)
    page, seen = context.new_page(), Seen()
    page.on("pageerror", lambda error: seen.note(f"script: {error}"))
    page.on("console", lambda told: seen.note(f"console: {told.text}", told.type in {"error", "warning"}))
    page.on("response", lambda got: seen.note(f"{got.status}: {got.url}", got.status >= 400))
    try:
        yield page, seen
    finally:
        context.close()


def violations(page: Any) -> list[str]:
    """What axe finds serious or critical in the page as it stands; skips where axe is not at hand."""
    script = os.environ.get(AXE)
    if not script:
        pytest.skip(f"no axe: npm pack axe-core, and name its axe.min.js in {AXE}")
    page.evaluate(Path(script).read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{each['id']}: {node['html'][:160]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
