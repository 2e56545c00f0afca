"""`edgecam run` as its user sees it: real video in, real model, files out, every frame accounted for."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest

COCO = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
LIMIT = 240.0
"""Seconds after which a run has hung; generous, for the slower runtime on a busy machine."""


def first_part(video: Path, copy: Path, packets: int) -> Path:
    """The first packets of a video, as they are."""
    with av.open(str(video)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.dts is None or number >= packets:
                break
            packet.stream = stream
            target.mux(packet)
    return copy


def write_config(folder: Path, camera: str, extra: str = "") -> Path:
    config = folder / "edgecam.toml"
    text = f'data_dir = "data"\n[jsonl]\nenabled = true\n[video]\nenabled = true\n{extra}\n[cameras.front]\n{camera}\n'
    config.write_text(text, encoding="utf-8")
    return config


def start(config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgecam", "run", "-c", str(config), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, json.loads(out) if out else {}, err


def frames_of(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def the_video(folder: Path) -> Path:
    videos = list((folder / "data" / "video").rglob("*.mp4"))
    assert len(videos) == 1
    return videos[0]


def messages(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in (folder / "data" / "events" / "front.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.timeout(LIMIT + 60)
def test_pedestrians_become_events_clips_and_snapshots(tmp_path: Path, assets: Path) -> None:
    clip = first_part(assets / "videos" / "vtest.avi", tmp_path / "vtest.avi", 60)
    config = write_config(
        tmp_path,
        f'type = "video_file"\npath = "{clip}"\npace = "fast"',
        f'[detector]\nmodel = "{assets / "models" / COCO}"\n[events]\nlabels = ["person"]',
    )
    code, summary, err = finish(start(config))

    assert code == 0, err
    assert summary["frames_captured"] == summary["frames_analysed"] == 60
    detector = next(iter(summary["cameras"].values()))["detector"]
    assert (detector["device"], detector["degraded"]) == ("cpu", "")
    assert datetime.now(UTC) - datetime.fromisoformat(detector["since"]) < timedelta(minutes=10)
    assert summary["frames_captured"] == summary["frames_written"] + summary["frames_dropped"]
    assert frames_of(the_video(tmp_path)) == summary["frames_written"]

    told = messages(tmp_path)
    begun = [message["id"] for message in told if message["type"] == "new"]
    assert len(begun) == len(set(begun)) == summary["events"] > 0
    assert sorted(begun) == sorted(message["id"] for message in told if message["type"] == "end")
    assert {message["label"] for message in told} == {"person"}
    with sqlite3.connect(tmp_path / "data" / "edgecam.db") as journal:
        assert {row[0] for row in journal.execute("select id from events")} == set(begun)
    assert {path.stem for path in (tmp_path / "data" / "snapshots").rglob("*.jpg")} == set(begun)
    clips = list((tmp_path / "data" / "clips").rglob("*.mp4"))
    assert sum(frames_of(clip) for clip in clips) > 0
    assert set(summary["storage"]) >= {"stored_bytes", "deleted", "written_bytes", "written_per_day"}
    assert summary["storage"]["trouble"] == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_clip_ends_the_events_and_exits_0(tmp_path: Path, number: signal.Signals) -> None:
    config = write_config(
        tmp_path, 'type = "synthetic"\nseed = 2000000\nplace = "street"\nlight = "day"\nsize = [640, 360]'
    )
    process = start(config)
    lines = tmp_path / "data" / "events" / "front.jsonl"
    deadline = time.monotonic() + LIMIT
    while not (lines.is_file() and lines.stat().st_size):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no event came"
        time.sleep(0.1)
    process.send_signal(number)
    code, summary, err = finish(process)

    assert code == 0, err
    assert "Traceback" not in err
    assert summary["frames_captured"] == summary["frames_written"] + summary["frames_dropped"] > 0
    assert frames_of(the_video(tmp_path)) == summary["frames_written"]
    told = messages(tmp_path)
    assert sorted(message["id"] for message in told if message["type"] == "new") == sorted(
        message["id"] for message in told if message["type"] == "end"
    )
    assert not list(tmp_path.rglob("*.part"))


def test_a_missing_video_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path, 'type = "video_file"\npath = "nothing.mp4"')
    code, summary, err = finish(start(config))
    assert (code, summary) == (1, {})
    complaints = [line for line in err.splitlines() if "knows rendered scenes only" not in line]
    assert len(complaints) == 1
    assert "nothing.mp4" in complaints[0]
    assert not list(tmp_path.rglob("*.mp4*"))


def test_no_camera_at_all_is_a_configuration_error(tmp_path: Path) -> None:
    config = tmp_path / "edgecam.toml"
    config.write_text('data_dir = "data"\n', encoding="utf-8")
    code, summary, err = finish(start(config))
    assert (code, summary) == (78, {})
    assert len(err.splitlines()) == 1
    assert "cameras: none is enabled" in err
