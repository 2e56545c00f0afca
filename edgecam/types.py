"""The values that flow through edgecam. All are immutable."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from edgecam.late_picture import LatePicture
from edgecam.picture_pool import PICTURES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BBox(NamedTuple):
    """A box in fractions of the frame, so that it fits every stream's resolution."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def width(self) -> float:
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        return self.ymax - self.ymin

    @property
    def area(self) -> float:
        """Fraction of the frame covered; 0 for an empty or inverted box."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        return (self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2

    def iou(self, other: BBox) -> float:
        """Intersection over union, 0 to 1."""
        overlap = BBox(
            max(self.xmin, other.xmin),
            max(self.ymin, other.ymin),
            min(self.xmax, other.xmax),
            min(self.ymax, other.ymax),
        ).area
        union = self.area + other.area - overlap
        return overlap / union if union > 0 else 0.0

    def clipped(self) -> BBox:
        """The part of the box inside the frame."""
        return BBox(*(min(1.0, max(0.0, edge)) for edge in self))

    def toward(self, other: BBox, fraction: float) -> BBox:
        """The box `fraction` of the way from this one to `other` (linear; 0 is this one, 1 the other)."""
        return BBox(*(a + (b - a) * fraction for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One picture. Frames compare by identity; their pixels are read-only.

    `sequence` is contiguous and never restarts, also when the camera is opened again: a reader finds its
    losses by subtraction. `timestamp` is in monotonic seconds, at exposure where the camera knows it.
    `main` is planar YUV 4:2:0 (I420, limited-range BT.601 unless the camera says otherwise): uint8
    [height * 3 // 2, width], width and height even; `picture` is what it is, or is still to be made of.
    `lores` is the small RGB picture at the model's input size: uint8 [h, w, 3].
    """

    sequence: int
    timestamp: float
    picture: NDArray[np.uint8] | LatePicture
    lores: NDArray[np.uint8]

    def __post_init__(self) -> None:
        self.lores.flags.writeable = False
        if not isinstance(self.picture, LatePicture):
            self.picture.flags.writeable = False

    @property
    def main(self) -> NDArray[np.uint8]:
        return self.picture.picture if isinstance(self.picture, LatePicture) else self.picture

    def copy_of_main(self) -> NDArray[np.uint8]:
        """`main` as an array of the caller's own, to draw on."""
        return self.picture.copy() if isinstance(self.picture, LatePicture) else PICTURES.copy(self.picture)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the main picture in pixels."""
        if isinstance(self.picture, LatePicture):
            return self.picture.size
        return int(self.picture.shape[1]), int(self.picture.shape[0]) * 2 // 3

    @property
    def width(self) -> int:
        """Width of the main picture in pixels."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Height of the main picture in pixels."""
        return self.size[1]

    def __repr__(self) -> str:
        return f"<Frame {self.sequence} {self.width}x{self.height} t={self.timestamp:.3f}>"


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing the detector found in one picture."""

    label: str
    score: float
    bbox: BBox


@dataclass(frozen=True, slots=True)
class Track:
    """One object followed over frames, as it stands in one frame.

    `score` is the median of the recent scores. `hits` and `misses` count the analyses that found it and,
    since the last hit, those that did not. `velocity` is the motion of the box's edges in fractions of the
    frame per second. `predicted` says that this box was extrapolated, not measured or interpolated.
    `confirmed` says that it was found often enough to be believed (N of M).
    """

    track_id: int
    label: str
    score: float
    bbox: BBox
    hits: int
    misses: int
    velocity: BBox
    confirmed: bool = False
    predicted: bool = False


class EventType(StrEnum):
    """The three messages in the life of an event, as Frigate names them."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class Crossing:
    """An object went over a line, in a direction that the line names, at `timestamp`, monotonic seconds."""

    line: str
    direction: str
    timestamp: float


@dataclass(frozen=True, slots=True)
class Event:
    """One message about one tracked object.

    `event_id` is the same in all messages of one event. `score` is the track's score now, `top_score` the best
    so far. `start` and `end` (None while it lasts) and `timestamp` (of the frame this message speaks of) are
    monotonic seconds. `sequence` is that frame's; `best_sequence`, `best_timestamp`, `best_score` and `best_bbox` are
    those of the best look at the object so far.

    `started` is the wall time of `start`, in Unix seconds, as the clock stood when the event was announced, and
    `clock_synced` whether that clock was right: all messages of an event keep them, so that no step of the clock makes
    a duration wrong. `frame_size` is width and height of the main picture in pixels. `current_zones` are those the
    object is in, `entered_zones` all it has been in, in the order of entering; `crossings` the lines it went over.
    `motionless_count` counts the analyses since it last moved, `position_changes` how often it began to move again
    after it was `stationary`.
    """

    type: EventType
    event_id: str
    camera: str
    track_id: int
    label: str
    score: float
    top_score: float
    bbox: BBox
    sequence: int
    timestamp: float
    start: float
    end: float | None
    best_sequence: int
    best_bbox: BBox
    best_timestamp: float = 0.0
    best_score: float = 0.0
    started: float = 0.0
    clock_synced: bool = True
    frame_size: tuple[int, int] = (0, 0)
    current_zones: tuple[str, ...] = ()
    entered_zones: tuple[str, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    stationary: bool = False
    motionless_count: int = 0
    position_changes: int = 0

    def unix(self, timestamp: float) -> float:
        """The wall time of a monotonic timestamp by this event's clock, in Unix seconds."""
        return self.started + (timestamp - self.start)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the detect thread found in one frame.

    `inference` is the detector's own time in seconds; `made`, in monotonic seconds, when the analysis was complete.
    """

    sequence: int
    timestamp: float
    detections: tuple[Detection, ...] = ()
    tracks: tuple[Track, ...] = ()
    events: tuple[Event, ...] = ()
    inference: float = 0.0
    made: float = 0.0


class AnnotatedFrame:
    """A frame on its way out, with the tracks as they stand in this very frame.

    `image` is the picture with the overlay, I420 like `frame.main` and read-only; given as a LatePicture, it is drawn
    when somebody looks, and a picture that nobody looks at is not drawn. `analysis` is the analysis made of exactly
    this frame, None where the detector skipped it.
    """

    __slots__ = ("_image", "analysis", "frame", "tracks")

    def __init__(
        self,
        frame: Frame,
        image: NDArray[np.uint8] | LatePicture,
        tracks: tuple[Track, ...],
        analysis: Analysis | None,
    ) -> None:
        self.frame = frame
        self.tracks = tracks
        self.analysis = analysis
        self._image = image
        if not isinstance(image, LatePicture):
            image.flags.writeable = False

    @property
    def image(self) -> NDArray[np.uint8]:
        return self._image.picture if isinstance(self._image, LatePicture) else self._image

    @property
    def drawn(self) -> NDArray[np.uint8] | None:
        """`image` where it is there already, None where it is still to be made. Does not draw."""
        return self._image.made if isinstance(self._image, LatePicture) else self._image


class Inference(NamedTuple):
    """What a detector found in one picture, best score first, and the seconds its device took for it."""

    detections: list[Detection]
    seconds: float


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """What runs: model name, runtime with version, device, input size (width, height) in pixels.

    `device` is `cpu`, `usb:2-1` (the port) or `pci:apex_0`, several with commas between; "" while there is none.
    `degraded` says why this is not what was asked for, "" where it is. `since` is the monotonic time of the device's
    last change.
    """

    model: str
    runtime: str
    device: str
    input_size: tuple[int, int]
    degraded: str = ""
    since: float = 0.0
