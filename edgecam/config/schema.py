"""The schema of the configuration: every key, its default and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from edgecam.config.cameras import CameraConfig
from edgecam.config.clips import ClipsSection
from edgecam.config.continuous import ContinuousSection
from edgecam.config.display import DisplaySection
from edgecam.config.events import EventsSection
from edgecam.config.health import MetricsSection, StatusSection
from edgecam.config.mqtt import MqttSection
from edgecam.config.retention import RetentionSection
from edgecam.config.sections import ConfigPath, ModelName, Name, OptionalPath, Score, Section, Tiles, TpuChoice, refusal
from edgecam.config.web import WebSection

API_WORDS = frozenset({"cameras", "changes", "days", "events", "history", "stats", "status", "version"})
"""Beside these the API has a path for each camera."""


class DetectorSection(Section):
    """Which model looks at the pictures, and how it runs."""

    model: ModelName = Field(default="auto", description="A model's name or file; auto: the best one that is present.")
    labels: OptionalPath = Field(default="", description="A label file; empty: the model's own labels.")
    device: TpuChoice = Field(
        default="auto", description="auto: an Edge TPU, the CPU while there is none; usb, usb:0 …: that one only; cpu."
    )
    threads: int = Field(
        default=0, ge=0, le=64, description="CPU threads of the detector; 0: as suits the machine and the model."
    )
    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = Field(
        default="auto", description="What runs the model."
    )
    isolate: bool = Field(default=False, description="Run the model in a process of its own on the CPU, too.")
    tiles: Tiles = Field(
        default="", description="Look at tiles, too, columns x rows such as 2x2: finds smaller objects; empty: none."
    )
    tile_overlap: float = Field(
        default=0.3, ge=0, le=0.5, description="What neighbouring tiles share, in parts of a tile's side."
    )


class EdgeTpuSection(Section):
    """How an Edge TPU is driven, in a process of its own."""

    library: str = Field(default="libedgetpu.so.1", min_length=1, description="Google's library, a name or a file.")
    performance: Literal["", "Low", "Medium", "High", "Max"] = Field(
        default="", description="Clock of a USB stick; empty: the library's own."
    )
    python: str = Field(default="", description="The Python of that process; empty: edgecam's own.")
    open_timeout: float = Field(default=30.0, gt=0, le=600, description="Longest time to open an Edge TPU.")
    invoke_timeout: float = Field(default=1.0, gt=0, le=60, description="Longest time of one inference.")


class TrackerSection(Section):
    """When two detections are the same object."""

    iou_threshold: Score = Field(
        default=0.3, description="Least overlap (IoU) of a track's next box with where it was due."
    )
    max_age: float = Field(default=2.0, gt=0, le=60, description="Seconds that a track survives without being found.")
    confirm_hits: int = Field(default=3, ge=1, le=100, description="A track is believed after so many hits ...")
    confirm_window: int = Field(default=5, ge=1, le=100, validate_default=True, description="... in so many analyses.")
    score_window: int = Field(default=10, ge=1, le=1000, description="A track's score is the median of so many scores.")

    @field_validator("confirm_window")
    @classmethod
    def _holds_the_hits(cls, window: int, info: ValidationInfo) -> int:
        hits = info.data.get("confirm_hits", 1)
        if window < hits:
            raise ValueError(f"allowed is at least confirm_hits, which is {hits}")
        return window


class OverlaySection(Section):
    """What is drawn on the picture."""

    enabled: bool = Field(default=True, description="Draw on the picture at all.")
    labels: bool = Field(default=True, description="Label, score and track id at each box.")
    clock: bool = Field(default=True, description="Date and time.")
    status: bool = Field(default=True, description="The line with the detector and the frame rate.")


class VideoSection(Section):
    """The annotated video of everything."""

    enabled: bool = Field(default=False, description="Write one annotated MP4 from start to stop, without bounds.")
    crf: int = Field(default=23, ge=0, le=51, description="x264's quality; lower is better and larger.")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = Field(
        default="superfast", description="x264's preset; slower is smaller and takes more of the CPU."
    )
    keyframe_interval: float = Field(default=1.0, gt=0, le=60, description="Seconds between key frames.")


class SnapshotsSection(Section):
    """A picture of each event's best moment."""

    enabled: bool = Field(default=True, description="Write a JPEG of each event.")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG quality.")


class JournalSection(Section):
    """The memory of events."""

    enabled: bool = Field(default=True, description="Keep events in the SQLite journal, edgecam.db in data_dir.")


class JsonlSection(Section):
    """Events as lines of JSON."""

    enabled: bool = Field(default=False, description="Append each event message to events/CAMERA.jsonl in data_dir.")


class PipelineSection(Section):
    """The sizes and limits of the threads. The defaults suit nearly everybody."""

    ring_frames: int = Field(default=64, ge=2, le=1000, description="Frames kept between capture and its readers.")
    output_wait: float = Field(
        default=0.5, ge=0, le=10, description="Longest wait, in seconds, for the boxes of a frame."
    )
    stop_timeout: float = Field(default=10.0, gt=0, le=600, description="Seconds each thread has to stop.")


class Config(Section):
    """The configuration of edgecam."""

    data_dir: ConfigPath = Field(
        default=Path("/var/lib/edgecam"), description="Where the journal, videos and pictures go."
    )
    detector: DetectorSection = DetectorSection()
    edgetpu: EdgeTpuSection = EdgeTpuSection()
    tracker: TrackerSection = TrackerSection()
    events: EventsSection = EventsSection()
    overlay: OverlaySection = OverlaySection()
    video: VideoSection = VideoSection()
    display: DisplaySection = DisplaySection()
    snapshots: SnapshotsSection = SnapshotsSection()
    retention: RetentionSection = RetentionSection()
    journal: JournalSection = JournalSection()
    clips: ClipsSection = Field(default=ClipsSection(), validate_default=True)
    continuous: ContinuousSection = Field(default=ContinuousSection(), validate_default=True)
    jsonl: JsonlSection = JsonlSection()
    mqtt: MqttSection = Field(default=MqttSection(), validate_default=True)
    status: StatusSection = StatusSection()
    metrics: MetricsSection = MetricsSection()
    web: WebSection = WebSection()
    pipeline: PipelineSection = PipelineSection()
    cameras: dict[Name, CameraConfig] = Field(default={}, description="The cameras, by name: [cameras.front].")

    @field_validator("mqtt")
    @classmethod
    def _needs_the_journal(cls, mqtt: MqttSection, info: ValidationInfo) -> MqttSection:
        journal = info.data.get("journal")
        if mqtt.enabled and journal is not None and not journal.enabled:
            raise ValueError("needs [journal] enabled = true: what is sent is kept there until the broker has it")
        return mqtt

    @field_validator("clips", "continuous")
    @classmethod
    def _are_in_the_journal(cls, clips: ClipsSection | ContinuousSection, info: ValidationInfo) -> Section:
        journal = info.data.get("journal")
        if clips.enabled and journal is not None and not journal.enabled:
            name = info.field_name
            remedy = f"needs [journal] enabled = true, which knows the clips: set that, or {name}.enabled = false"
            raise refusal(("enabled",), clips.enabled, remedy)
        return clips

    @field_validator("cameras")
    @classmethod
    def _zones_have_names_of_their_own(cls, cameras: dict[str, CameraConfig]) -> dict[str, CameraConfig]:
        taken = dict.fromkeys(cameras, "a camera")
        for camera, options in cameras.items():
            for zone in options.zones:
                if zone in taken:
                    remedy = f"{taken[zone]} has this name: each zone needs its own, it becomes a topic"
                    raise refusal((camera, options.type, "zones", zone), zone, remedy)
                taken[zone] = f"a zone of {camera}"
        return cameras

    @model_validator(mode="after")
    def _display_shows_one_of_the_cameras(self) -> Self:
        if self.cameras and self.display.camera not in {"", *self.cameras}:
            there = ", ".join(self.cameras)
            raise refusal(("display", "camera"), self.display.camera, f"no camera has this name: give one of {there}")
        return self

    @field_validator("cameras")
    @classmethod
    def _are_no_api_words(cls, cameras: dict[str, CameraConfig], info: ValidationInfo) -> dict[str, CameraConfig]:
        web: WebSection | None = info.data.get("web")
        for name, options in cameras.items():
            if web is not None and web.enabled and name in API_WORDS:
                raise refusal((name, options.type), name, f"/api/{name} is a path of its own: give another name")
        return cameras

    @property
    def enabled_cameras(self) -> dict[str, CameraConfig]:
        """The cameras that run."""
        return {name: camera for name, camera in self.cameras.items() if camera.enabled}
