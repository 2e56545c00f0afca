"""`edgecam demo` as a newcomer sees it: one command, no network, and figures that hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

from edgecam.bundled import demo_clip
from edgecam.demonstration import FPS, load_truth
from edgecam.errors import InputError

LIMIT = 600.0
"""Seconds after which the demo has hung; generous, for the slower runtime on a busy machine."""


@pytest.mark.timeout(LIMIT + 60)
def test_the_demo_does_the_whole_job_and_is_right(tmp_path: Path) -> None:
    out = tmp_path / "demo-out"
    out.mkdir()
    (out / "mine.txt").write_text("not the demo's to remove", encoding="utf-8")
    command = [sys.executable, "-m", "edgecam", "demo", "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)

    frames = len(load_truth(demo_clip().with_suffix(".json")))
    assert summary["frames_captured"] == summary["frames_analysed"] == summary["frames_written"] == frames
    assert summary["frames_dropped"] == summary["events_lost"] == 0
    assert summary["precision"] >= 0.95
    assert summary["recall"] >= 0.95

    assert json.loads((out / "summary.json").read_text(encoding="utf-8")) == summary
    told = [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(message["type"] == "new" for message in told) == summary["events"] > 0
    assert {message["label"] for message in told} >= {"person", "car"}
    with av.open(str(out / "annotated.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 1280, 720)
        assert sum(1 for _ in container.decode(video)) == frames
    assert len(list((out / "snapshots").rglob("*.jpg"))) == summary["events"]
    assert (out / "mine.txt").exists()


def test_a_piece_of_the_demo_is_that_long_and_right(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgecam", "demo", "--out", str(tmp_path / "out"), "--seconds", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["frames_captured"] == summary["frames_written"] == 2 * FPS
    assert summary["precision"] >= 0.9


def test_the_clip_has_the_frame_rate_that_pieces_are_counted_by() -> None:
    assert json.loads(demo_clip().with_suffix(".json").read_text(encoding="utf-8"))["fps"] == FPS


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "edgecam", "demo", "--out", str(tmp_path / "file" / "demo-out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "--out" in done.stderr


def test_damaged_truth_is_said_plainly(tmp_path: Path) -> None:
    truth = tmp_path / "demo.json"
    truth.write_text('{"frames": [[{"label": "dog"}]]}', encoding="utf-8")
    with pytest.raises(InputError, match="ground truth cannot be read"):
        load_truth(truth)


def test_the_clip_is_small_enough_to_ship() -> None:
    assert demo_clip().stat().st_size < 3_000_000
