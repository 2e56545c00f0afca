"""Takes docs' pictures of the pages: of a rendered home, with Debian's chromium and Playwright."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import browser, opened  # noqa: E402
from web_house import running  # noqa: E402
from web_street import Street  # noqa: E402

EVENT = "1.0-shown"
WIDE = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 760}, "device_scale_factor": 2, "is_mobile": True}
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "web-live": ("./", WIDE),
    "web-review": ("review", WIDE),
    "web-clip": (f"review?event={EVENT}", WIDE),
    "web-zones": ("zones", WIDE),
    "web-condition": ("condition", {"viewport": {"width": 1280, "height": 660}, "color_scheme": "dark"}),
    "web-phone": ("./", PHONE),
    "web-phone-dark": ("review", PHONE | {"color_scheme": "dark"}),
}


def main() -> None:
    """Take all pictures, or those that are named."""
    with tempfile.TemporaryDirectory() as folder:
        street = Street(Path(folder))
        street.data.mkdir()
        live_in(street)
        with street.filming(), running(street.premises()) as house, browser() as chromium:
            time.sleep(45)  # for plots with something in them
            for name, (path, options) in PICTURES.items():
                with opened(chromium, f"http://127.0.0.1:{house.port}/", **options) as (page, seen):
                    page.goto(path)
                    page.wait_for_timeout(4000)
                    if "zones" in path:
                        page.click("#list button")
                    page.screenshot(path=ROOT / "docs" / f"{name}.jpg", type="jpeg", quality=80)
                    print(name, (ROOT / "docs" / f"{name}.jpg").stat().st_size, *seen.complaints)


def live_in(street: Street) -> None:
    """A day with something in it."""
    now = time.time()
    midnight = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    chance = random.Random(2)
    street.happened_often(sorted(chance.uniform(midnight, now - 90) for _ in range(90)))
    crossings = [{"line": "gate", "direction": "in", "time": now - 39}]
    street.happened(EVENT, now - 40, entered_zones=["drive"], crossings=crossings)
    street.film_of(EVENT, now - 41)


if __name__ == "__main__":
    main()
