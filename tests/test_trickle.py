"""What is written while nothing happens: the whole app, with clips, journal and MQTT, before an empty scene."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_videos import make_video
from mqtt_broker import Listener, Mosquitto

pytestmark = [pytest.mark.any_runtime, pytest.mark.timeout(240)]

SECONDS = 90.0 if os.environ.get("EDGECAM_LABS") == "1" else 5.0
MOST_A_DAY = 50_000_000
"""Bytes: a card of 32 GB, written 3,000 times over, would last five thousand years."""
LIMIT = 60.0


def written(process: int) -> dict[str, int]:
    """What a process wrote, as the kernel counts it: `wchar` through any call, `write_bytes` to a disk."""
    lines = Path(f"/proc/{process}/io").read_text(encoding="ascii").splitlines()
    return {name: int(count) for name, count in (line.split(": ") for line in lines)}


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file with its size and when it was last changed."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_hardly_anything_is_written_while_nothing_happens(
    tmp_path: Path, broker: Mosquitto, record_property: Callable[[str, object], None]
) -> None:
    random = np.random.default_rng(1)
    empty = [random.integers(110, 116, (720, 640), np.uint8) for _ in range(30)]
    video = make_video(tmp_path / "empty.mp4", empty)
    config = tmp_path / "edgecam.toml"
    config.write_text(
        f"""
data_dir = "data"
[detector]
model = "edgecam-demo"
[mqtt]
enabled = true
host = "127.0.0.1"
port = {broker.port}
stats_interval = 2.0
[cameras.front]
type = "video_file"
path = "{video}"
loop = true
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "edgecam", "run", "-c", str(config), "--json"]
    with Listener(broker) as listener, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as edgecam:
        try:
            listener.wait_for("edgecam/stats", count=2)
            before, then, at_first = written(edgecam.pid), time.monotonic(), files_in(tmp_path / "data")
            time.sleep(SECONDS)
            after, taken, at_last = written(edgecam.pid), time.monotonic() - then, files_in(tmp_path / "data")
        finally:
            edgecam.send_signal(signal.SIGTERM)
            out, _ = edgecam.communicate(timeout=LIMIT)
    summary = json.loads(out)
    figures = {
        "seconds": round(taken, 1),
        "to_the_disk": after["write_bytes"] - before["write_bytes"],
        "a_day": round((after["write_bytes"] - before["write_bytes"]) * 86_400 / taken),
        "frames": summary["frames_captured"],
        "events": summary["events"],
        "files_changed": sorted(Path(path).name for path in at_last if at_last[path] != at_first.get(path)),
    }
    record_property("trickle", figures)
    sys.stdout.write(f"{json.dumps(figures)}\n")
    assert summary["events"] == 0
    assert summary["frames_captured"] > 4 * SECONDS
    assert figures["files_changed"] == []
    assert figures["a_day"] <= MOST_A_DAY
