"""Frigate's form of an event message, which what was written for Frigate understands with another prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def frigate_message(before: Document | None, after: Document) -> dict[str, Any]:
    """What `<prefix>/events` says of one event message, as Frigate documents it
    (https://docs.frigate.video/integrations/mqtt/): `type`, and the object `before` and `after` it.

    Both are documents as `event_document` makes them, those of a journal with `snapshot` and `clip` (a path or None)
    and `cut`; keys that an older edgecam did not write may be missing. `has_clip` says that a clip of the event has
    begun: it grows, or is finished. The event does not wait for that, so it is false in a `new`, as a rule, and true
    from the next message on; an event that is told while the disk takes no clips has none.

    `before` is the event's last document, None where there is none: then the object stands in `before` as it was before
    it was announced, so that consumers which compare the two see it enter its zones.
    """
    announced = frigate_object(after)
    return {
        "type": str(after["type"]),
        "before": unannounced(announced) if before is None else frigate_object(before),
        "after": announced,
    }


def pixels(box: Sequence[float], size: Sequence[int]) -> list[int]:
    """A box in fractions of the frame as [xmin, ymin, xmax, ymax] in pixels of a frame of `size` (width, height)."""
    return [round(min(1.0, max(0.0, edge)) * size[n % 2]) for n, edge in enumerate(box)]


def frigate_object(document: Document) -> dict[str, Any]:
    """The object as one document has it. Boxes are in pixels of `frame_size`; all 0 where that is not known."""
    size = list(document.get("frame_size", (0, 0)))
    box = pixels(document["box"], size)
    stationary = document.get("stationary", False)
    return {
        "id": document["id"],
        "camera": document["camera"],
        "frame_time": document["frame_time"],
        "snapshot": _best_look(document, size),
        "label": document["label"],
        "sub_label": None,
        "top_score": document["top_score"],
        "false_positive": False,
        "start_time": document["start_time"],
        "end_time": document["end_time"],
        "score": document["score"],
        "box": box,
        "area": _area(box),
        "ratio": _ratio(box),
        "region": [0, 0, *size],
        "current_zones": list(document.get("current_zones", ())),
        "entered_zones": list(document.get("entered_zones", ())),
        "thumbnail": None,
        "has_snapshot": bool(document.get("snapshot")),
        "has_clip": bool(document.get("clip")),
        "active": not stationary,
        "stationary": stationary,
        "motionless_count": document.get("motionless_count", 0),
        "position_changes": document.get("position_changes", 0),
        "attributes": {},
        "current_attributes": [],
        "current_estimated_speed": 0,
        "average_estimated_speed": 0,
        "velocity_angle": 0,
        "recognized_license_plate": None,
        "recognized_license_plate_score": None,
        "frame_size": size,
        "frame": document["frame"],
        "track_id": document["track_id"],
        "clock_synced": document.get("clock_synced", True),
        "crossings": [dict(crossing) for crossing in document.get("crossings", ())],
        "cut": document.get("cut"),
    }


def unannounced(announced: Document) -> dict[str, Any]:
    """The object as it was before it was announced: Frigate's own first `before` says so too."""
    return {
        **announced,
        "snapshot": None,
        "top_score": 0.0,
        "false_positive": True,
        "current_zones": [],
        "entered_zones": [],
        "has_snapshot": False,
        "has_clip": False,
        "active": True,
        "stationary": False,
        "motionless_count": 0,
        "position_changes": 0,
        "crossings": [],
        "end_time": None,
        "cut": None,
    }


def _best_look(document: Document, size: Sequence[int]) -> dict[str, Any]:
    best = document["best"]
    box = pixels(best["box"], size)
    return {
        "frame_time": best.get("time", document["frame_time"]),
        "box": box,
        "area": _area(box),
        "region": [0, 0, *size],
        "score": best.get("score", document["score"]),
        "attributes": [],
    }


def _area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _ratio(box: Sequence[int]) -> float:
    """Width by height."""
    return round((box[2] - box[0]) / max(1, box[3] - box[1]), 6)
