"""What live video costs the appliance, how old it is in a real browser, and what slow viewers can do: measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")

from live_rig import BITS, HD, SQUARE
from mqtt_broker import free_port

RIG = Path(__file__).with_name("live_rig.py")
LABS = os.environ.get("EDGECAM_LABS") == "1"
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.skipif(not LABS, reason="measures processor time and latency, minutes: EDGECAM_LABS=1"),
]
WINDOW = 10.0
"""Seconds of one measurement."""

IN_THE_PAGE = """async ({kind, seconds, bits, square, width}) => {
  const ages = [], canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, square];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const read = (source, itsWidth) => {
    context.drawImage(source, 0, 0, itsWidth, square * itsWidth / width, 0, 0, width, square);
    const row = context.getImageData(0, square / 2, width, 1).data;
    let taken = 0;
    for (let bit = 0; bit < bits; bit++) if (row[4 * (bit * square + square / 2)] > 128) taken += 2 ** bit;
    ages.push((Date.now() % 2 ** bits) - taken);
  };
  const until = performance.now() + 1000 * seconds;
  if (kind === "video") {
    const video = document.querySelector("video");
    await new Promise((done) => {
      const look = () => {
        read(video, video.videoWidth);
        performance.now() > until ? done() : video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
    });
  } else {
    const image = new Image();
    image.src = "api/front?h=360&fps=10";
    document.body.append(image);
    await new Promise((loaded) => image.onload = loaded);
    await new Promise((done) => {
      const look = () => {
        read(image, image.naturalWidth);
        performance.now() > until ? done() : requestAnimationFrame(look);
      };
      look();
    });
  }
  return ages;
}"""


class Rig:
    """The server's process."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._process = started("serve", str(folder), str(self.port), stdout=subprocess.PIPE)

    def used(self) -> dict[str, float]:
        """What it has used so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        used: dict[str, float] = json.loads(self._process.stdout.readline())
        return used

    def in_a_window(self) -> dict[str, float]:
        """Milliseconds of processor time a frame, frames a second and the pipeline's latency, over WINDOW."""
        before = self.used()
        time.sleep(WINDOW)
        after = self.used()
        frames = after["captured"] - before["captured"]
        return {
            "ms_a_frame": 1000 * (after["cpu"] - before["cpu"]) / frames,
            "web_ms_a_frame": 1000 * (after["web"] - before["web"]) / frames,
            "fps": frames / (after["time"] - before["time"]),
            "latency": after["latency"],
        }

    @contextmanager
    def visited(self, kind: str, number: int) -> Iterator[None]:
        """So many viewers, `watch` or `tread`."""
        visitors = started(kind, str(self.port), str(number)) if number else None
        try:
            time.sleep(5.0)
            yield
        finally:
            end(visitors)

    def stop(self) -> None:
        end(self._process)


def started(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, RIG, *arguments], stdin=subprocess.PIPE, text=True, **options)


def end(process: subprocess.Popen[str] | None) -> None:
    if process is not None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.used()
    time.sleep(5.0)
    yield made
    made.stop()


def test_twenty_viewers_take_at_most_a_tenth_more(rig: Rig, record_property: Callable[[str, object], None]) -> None:
    rows: dict[int, list[dict[str, float]]] = {0: [], 1: [], 20: []}
    for turn in range(4):
        for number in sorted(rows, reverse=bool(turn % 2)):
            with rig.visited("watch", number):
                rows[number].append(rig.in_a_window())
    medians = {
        number: {key: float(np.median([row[key] for row in taken])) for key in taken[0]}
        for number, taken in rows.items()
    }
    record_property("costs", medians)
    sys.stdout.write(json.dumps(medians) + "\n")
    without, with_twenty = medians[0], medians[20]
    more = with_twenty["web_ms_a_frame"] - without["web_ms_a_frame"]
    assert more <= 0.1 * without["ms_a_frame"]
    assert with_twenty["fps"] == pytest.approx(without["fps"], rel=0.02)


def test_fifty_that_read_nothing_or_little_cost_no_memory(
    rig: Rig, record_property: Callable[[str, object], None]
) -> None:
    with rig.visited("watch", 1), rig.visited("tread", 50):
        time.sleep(WINDOW)
        first = rig.used()
        sizes = []
        for _ in range(6):
            time.sleep(WINDOW)
            sizes.append(rig.used()["rss"])
        last = rig.used()
    record_property("megabytes", [size / 1e6 for size in sizes])
    sys.stdout.write(json.dumps([first, last]) + "\n")
    assert last["feed_bytes"] <= 8_000_000
    assert sizes[-1] <= first["rss"] + 20e6
    assert last["captured"] > first["captured"]


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
def test_how_old_the_picture_is_in_a_browser(rig: Rig, record_property: Callable[[str, object], None]) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    options = {"seconds": WINDOW, "bits": BITS, "square": SQUARE, "width": HD[0]}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{rig.port}/")
        page.wait_for_selector("video", state="attached")
        time.sleep(WINDOW)
        ages = {kind: page.evaluate(IN_THE_PAGE, {"kind": kind, **options}) for kind in ("video", "pictures")}
        browser.close()
    medians = {kind: float(np.median(values)) for kind, values in ages.items()}
    record_property("milliseconds", medians)
    sys.stdout.write(json.dumps(medians) + "\n")
    assert all(0 < value < 1000 for value in medians.values())
