"""The status document: how edgecam is, and if it is not well, why and since when."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgecam import __version__
from edgecam.health.board import REMEDIES, TROUBLES
from edgecam.health.facts import BoardFacts, CameraFacts, Facts
from edgecam.ports import Clock

LITTLE_SPACE_BYTES = 500_000_000
"""Less free space than this is said to be little."""


class Document(BaseModel):
    """A payload, or a part of one: immutable, every key always there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Version(Document):
    """What runs."""

    edgecam: str = Field(description="edgecam's own version.")
    python: str = Field(description="Python's.")
    runtime: str = Field(description="What runs the model, with its version; empty before one is open.")


class DetectorStatus(Document):
    """What looks at a camera's pictures."""

    model: str = Field(description="The model's name; empty before one is open.")
    runtime: str = Field(description="What runs it; empty before one is open.")
    device: str = Field(description="cpu, usb:2-1 (the port) or pci:apex_0, several with commas; empty: none now.")
    since: float | None = Field(description="When that last changed, Unix seconds; null where it never has.")
    degraded: str = Field(description="Why it is not what the configuration asks for; empty where it is.")
    lost_since: float | None = Field(description="Since when nothing is detected, Unix seconds; null while it works.")


class CameraState(Document):
    """The camera itself."""

    open: bool = Field(description="Whether it works.")
    reopened: int = Field(description="How often it was lost and came back since edgecam started.", ge=0)
    lost_since: float | None = Field(description="Since when it is lost, Unix seconds; null while it works.")


class SwitchStates(Document):
    """How the camera's switches stand."""

    detect: bool = Field(description="Whether anything is detected.")
    recordings: bool = Field(description="Whether videos are written.")
    snapshots: bool = Field(description="Whether pictures of events are saved.")


class CameraStatus(Document):
    """One camera and what belongs to it."""

    detector: DetectorStatus
    camera: CameraState
    switches: SwitchStates


class Disk(Document):
    """The disk with edgecam's data."""

    path: str = Field(description="The folder with edgecam's data.")
    free_bytes: int | None = Field(description="What is free there; null where it cannot be asked.")
    total_bytes: int | None = Field(description="What there is in all; null where it cannot be asked.")


class Spool(Document):
    """The event messages that the broker has not taken yet."""

    messages: int = Field(description="How many wait.", ge=0)
    lost: int = Field(description="How many were given up, ever: by age, or because there were too many.", ge=0)
    oldest_age: float | None = Field(description="How long the oldest has waited, seconds; null: none, or not known.")


class BoardStatus(Document):
    """The board, as far as it watches its power supply and its cooling; a Raspberry Pi does."""

    model: str = Field(description="What it calls itself; empty where it does not say.")
    throttled: list[str] = Field(description="What it suffers now: under-voltage, throttled …; empty: nothing.")
    throttled_before: list[str] = Field(description="What it suffered at some time, as far as it remembers.")


class StatusDocument(Document):
    """How edgecam is."""

    status: Literal["ok", "degraded"] = Field(description="degraded: it runs, but not as the configuration asks.")
    reasons: list[str] = Field(description="Why it is degraded, in plain words; empty where it is not.")
    since: float = Field(description="Since when `status` is what it is, Unix seconds.")
    clock_synced: bool = Field(description="Whether the clock is known to be right.")
    version: Version
    cameras: dict[str, CameraStatus] = Field(description="The cameras that run, by name.")
    disk: Disk
    spool: Spool
    board: BoardStatus
    events_lost: int = Field(description="Events since edgecam started that could be recorded nowhere.", ge=0)


class StatusReport:
    """Makes status documents, and remembers since when the status is what it is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._status: Literal["ok", "degraded"] | None = None
        self._since = 0.0

    def document(self, facts: Facts) -> StatusDocument:
        """The status now."""
        disk = _disk(facts)
        reasons = list(_reasons(facts, disk))
        status: Literal["ok", "degraded"] = "degraded" if reasons else "ok"
        if status != self._status:
            self._status, self._since = status, self._clock.monotonic()
        cameras = {name: self._camera(camera) for name, camera in facts.cameras.items()}
        runtimes = dict.fromkeys(each.detector.runtime for each in cameras.values() if each.detector.runtime)
        return StatusDocument(
            status=status,
            reasons=reasons,
            since=self._unix(self._since),
            clock_synced=self._clock.synced(),
            version=Version(edgecam=__version__, python=platform.python_version(), runtime=", ".join(runtimes)),
            cameras=cameras,
            disk=disk,
            spool=Spool(messages=facts.mqtt.waiting, lost=facts.mqtt.lost, oldest_age=facts.mqtt.oldest_age),
            board=_board(facts.board),
            events_lost=sum(camera.counters["events_lost"] for camera in facts.cameras.values()),
        )

    def _camera(self, facts: CameraFacts) -> CameraStatus:
        info = facts.detector
        lost = facts.camera_lost_since
        return CameraStatus(
            detector=DetectorStatus(
                model=info.model if info else "",
                runtime=info.runtime if info else "",
                device=info.device if info else "",
                since=self._unix(info.since) if info and info.since else None,
                degraded=info.degraded if info else "",
                lost_since=self._when(facts.detector_lost_since),
            ),
            camera=CameraState(open=lost is None, reopened=facts.reopened, lost_since=self._when(lost)),
            switches=SwitchStates(**facts.switches),
        )

    def _when(self, timestamp: float | None) -> float | None:
        return None if timestamp is None else self._unix(timestamp)

    def _unix(self, timestamp: float) -> float:
        return round(self._clock.wall(timestamp).timestamp(), 3)


def _disk(facts: Facts) -> Disk:
    try:
        usage = shutil.disk_usage(facts.folder)
    except OSError:
        return Disk(path=str(facts.folder), free_bytes=None, total_bytes=None)
    return Disk(path=str(facts.folder), free_bytes=usage.free, total_bytes=usage.total)


def _board(facts: BoardFacts) -> BoardStatus:
    before = {*facts.board.throttled_ever, *facts.episodes}
    return BoardStatus(
        model=facts.board.model,
        throttled=[word for word in TROUBLES.values() if word in facts.suffers],
        throttled_before=[word for word in TROUBLES.values() if word in before],
    )


def _reasons(facts: Facts, disk: Disk) -> Iterator[str]:
    for name, camera in facts.cameras.items():
        if camera.camera_lost_since is not None:
            yield f"{name}: the camera is lost"
        if camera.switches["detect"]:
            if camera.detector_lost_since is not None:
                yield f"{name}: the detector is lost{_beside(facts, name)}"
            elif camera.detector is not None and camera.detector.degraded:
                yield f"{name}: {camera.detector.degraded}{_beside(facts, name)}"
        yield from (f"{name}: {trouble}" for trouble in camera.troubles)
    yield from facts.troubles
    yield from (f"the board: {REMEDIES[word]}" for word in TROUBLES.values() if word in facts.board.suffers)
    if disk.free_bytes is not None and disk.free_bytes < LITTLE_SPACE_BYTES:
        yield f"less than {LITTLE_SPACE_BYTES // 1_000_000} MB are free at {disk.path}"


def _beside(facts: Facts, camera: str) -> str:
    said = facts.board.beside.get(camera)
    return f" ({said})" if said else ""
