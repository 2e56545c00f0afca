"""Events and statistics with the keys of Frigate's HTTP API and our own.

https://docs.frigate.video/integrations/api/ documents the former.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from edgecam.event_search import FoundEvent
from edgecam.health.stats import CameraStats, StatsDocument
from edgecam.health.status import Document, StatusDocument

_MIB = 1 << 20


class EventData(Document):
    """The best look at the object."""

    type: Literal["object"] = Field(default="object", description="Always object.")
    score: float = Field(description="Score at the last message.")
    top_score: float = Field(description="The best score.")
    box: list[float] = Field(description="Left, top, width, height at the best look, fractions of the frame.")
    region: list[float] = Field(default=[0, 0, 1, 1], description="What was looked at: the whole frame.")
    attributes: list[str] = Field(default=[], description="Always empty.")


class CrossingAnswer(Document):
    """An object went over a line."""

    line: str = Field(description="The line's name.")
    direction: str = Field(description="What going over it that way is called.")
    time: float = Field(description="When, Unix seconds.")


class EventAnswer(Document):
    """One event, with Frigate's keys and our own."""

    id: str = Field(description="Its id.")
    camera: str = Field(description="The camera's name.")
    label: str = Field(description="What it is.")
    sub_label: None = Field(default=None, description="Always null.")
    zones: list[str] = Field(description="The zones it has been in, in the order of entering.")
    start_time: float = Field(description="When it was first seen, Unix seconds.")
    end_time: float | None = Field(description="When it was last seen, Unix seconds; null while it lasts.")
    false_positive: Literal[False] = Field(default=False, description="Always false.")
    has_clip: bool = Field(description="Whether there is a clip; it may still grow.")
    has_snapshot: bool = Field(description="Whether there is a picture.")
    retain_indefinitely: bool = Field(description="Whether its clips are favourites, which stay.")
    top_score: float = Field(description="The best score.")
    thumbnail: str | None = Field(default=None, description="A small JPEG as base64, if asked for; else null.")
    plus_id: None = Field(default=None, description="Always null.")
    data: EventData
    track_id: int = Field(description="Ours: the number of its track.")
    frame_size: list[int] = Field(description="Ours: width and height of the frame, pixels.")
    best_time: float = Field(description="Ours: when the best look was, Unix seconds.")
    stationary: bool = Field(description="Ours: whether it stands still.")
    crossings: list[CrossingAnswer] = Field(description="Ours: the lines it went over.")
    clock_synced: bool = Field(description="Ours: whether the clock was known to be right.")
    clip_grows: bool = Field(description="Ours: whether a clip of it is still being recorded.")
    cut: str | None = Field(description="Ours: why it has no proper end; null where it has.")


def event_answer(found: FoundEvent) -> dict[str, Any]:
    """The keys of an EventAnswer."""
    document = found.document
    best = document["best"]
    xmin, ymin, xmax, ymax = best["box"]
    return {
        "id": document["id"],
        "camera": document["camera"],
        "label": document["label"],
        "sub_label": None,
        "zones": list(document.get("entered_zones", ())),
        "start_time": document["start_time"],
        "end_time": document["end_time"],
        "false_positive": False,
        "has_clip": found.has_clip,
        "has_snapshot": found.snapshot is not None,
        "retain_indefinitely": found.kept,
        "top_score": document["top_score"],
        "thumbnail": None,
        "plus_id": None,
        "data": {
            "type": "object",
            "score": document["score"],
            "top_score": document["top_score"],
            "box": [xmin, ymin, round(xmax - xmin, 5), round(ymax - ymin, 5)],
            "region": [0, 0, 1, 1],
            "attributes": [],
        },
        "track_id": document["track_id"],
        "frame_size": list(document.get("frame_size", (0, 0))),
        "best_time": best.get("time", document["frame_time"]),
        "stationary": document.get("stationary", False),
        "crossings": [dict(crossing) for crossing in document.get("crossings", ())],
        "clock_synced": document.get("clock_synced", True),
        "clip_grows": found.clip_grows,
        "cut": found.cut,
    }


class FrigateCamera(Document):
    """One camera, as Frigate tells of it."""

    camera_fps: float = Field(description="Frames per second that the camera gives.")
    process_fps: float = Field(description="Frames per second that were analysed.")
    skipped_fps: float = Field(description="Frames per second that the detector passed over.")
    detection_fps: float = Field(description="Looks of the detector per second: process_fps.")
    detection_enabled: int = Field(description="1: the switch detect is on.")
    pid: int = Field(description="edgecam's process.")
    capture_pid: int = Field(description="The same.")
    ffmpeg_pid: int = Field(description="The same.")


class FrigateDetector(Document):
    """One detector, as Frigate tells of it."""

    inference_speed: float = Field(description="Milliseconds that an inference takes: half take no longer.")
    detection_start: float = Field(default=0.0, description="Always 0.")
    pid: int = Field(description="edgecam's process.")


class FrigateStorage(Document):
    """A disk, as Frigate tells of it: MiB."""

    total: float = Field(description="What there is in all.")
    used: float = Field(description="What is used.")
    free: float = Field(description="What is free.")
    mount_type: str = Field(default="", description="Always empty.")


class FrigateService(Document):
    """The program itself, as Frigate tells of it."""

    uptime: int = Field(description="How long it has run, seconds.")
    version: str = Field(description="edgecam's version.")
    latest_version: str = Field(description="The same: edgecam does not ask anybody for newer ones.")
    last_updated: int = Field(description="When this was put together, Unix seconds.")
    storage: dict[str, FrigateStorage] = Field(description="The disk of the data folder, by its path.")
    temperatures: dict[str, float] = Field(description="cpu: that of the board's processor, if it says so.")


class FrigateStats(Document):
    """The statistics in Frigate's shape, and edgecam's own."""

    cameras: dict[str, FrigateCamera] = Field(description="The cameras that run, by name.")
    detectors: dict[str, FrigateDetector] = Field(description="The detectors, by device: cpu, usb:2-1 (the port) …")
    detection_fps: float = Field(description="Looks of all detectors per second.")
    cpu_usages: dict[str, Any] = Field(default={}, description="Always empty: see edgecam.process.")
    gpu_usages: dict[str, Any] = Field(default={}, description="Always empty.")
    processes: dict[str, Any] = Field(default={}, description="Always empty: see edgecam.process.")
    service: FrigateService
    edgecam: StatsDocument


def frigate_stats(status: StatusDocument, stats: StatsDocument, pid: int) -> FrigateStats:
    """The statistics now."""
    cameras = {
        name: _camera(camera, on=status.cameras[name].switches.detect, pid=pid)
        for name, camera in stats.cameras.items()
        if name in status.cameras
    }
    return FrigateStats(
        cameras=cameras,
        detectors=_detectors(status, stats.cameras, pid),
        detection_fps=round(sum(camera.detection_fps for camera in cameras.values()), 2),
        service=_service(status, stats),
        edgecam=stats,
    )


def _camera(stats: CameraStats, *, on: bool, pid: int) -> FrigateCamera:
    fps = stats.fps
    return FrigateCamera(
        camera_fps=fps.captured,
        process_fps=fps.analysed,
        skipped_fps=round(max(0.0, fps.captured - fps.analysed), 2),
        detection_fps=fps.analysed,
        detection_enabled=int(on),
        pid=pid,
        capture_pid=pid,
        ffmpeg_pid=pid,
    )


def _detectors(status: StatusDocument, cameras: Mapping[str, CameraStats], pid: int) -> dict[str, FrigateDetector]:
    """The slowest of the cameras that share one is what is said of it."""
    speeds: dict[str, float] = {}
    for name, camera in cameras.items():
        device = status.cameras[name].detector.device if name in status.cameras else ""
        if device:
            speeds[device] = max(speeds.get(device, 0.0), camera.latencies.inference.p50 or 0.0)
    return {
        device: FrigateDetector(inference_speed=round(seconds * 1000, 2), pid=pid) for device, seconds in speeds.items()
    }


def _service(status: StatusDocument, stats: StatsDocument) -> FrigateService:
    disk, temperature = status.disk, stats.process.temperature_celsius
    storage = {}
    if disk.free_bytes is not None and disk.total_bytes is not None:
        total, free = round(disk.total_bytes / _MIB, 1), round(disk.free_bytes / _MIB, 1)
        storage[disk.path] = FrigateStorage(total=total, used=round(total - free, 1), free=free)
    return FrigateService(
        uptime=int(stats.process.uptime),
        version=status.version.edgecam,
        latest_version=status.version.edgecam,
        last_updated=int(stats.time),
        storage=storage,
        temperatures={} if temperature is None else {"cpu": temperature},
    )
