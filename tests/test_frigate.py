"""Frigate's event message: its documented keys, boxes in pixels, and what of it is ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.events import event_document
from edgecam.frigate import frigate_message, pixels
from edgecam.types import BBox, Crossing, Event, EventType

FRIGATES_KEYS = {
    "id", "camera", "frame_time", "snapshot", "label", "sub_label", "top_score", "false_positive", "start_time",
    "end_time", "score", "box", "area", "ratio", "region", "current_zones", "entered_zones", "thumbnail",
    "has_snapshot", "has_clip", "active", "stationary", "motionless_count", "position_changes", "attributes",
    "current_attributes", "current_estimated_speed", "average_estimated_speed", "velocity_angle",
    "recognized_license_plate", "recognized_license_plate_score",
}  # fmt: skip
"""Those of https://docs.frigate.video/integrations/mqtt/."""
OUR_KEYS = {"frame_size", "frame", "track_id", "clock_synced", "crossings", "cut"}
ADDED_SINCE = (
    "frame_size", "clock_synced", "current_zones", "entered_zones", "crossings", "stationary", "motionless_count",
    "position_changes",
)  # fmt: skip
"""Keys that the journals of edgecam's first versions lack."""


def document(kind: EventType = EventType.UPDATE, **more: Any) -> dict[str, Any]:
    """A person in the drive, ten seconds after it came, on a 1280x720 picture."""
    event = Event(
        kind,
        "1767225600.300000-abcdef",
        "front",
        7,
        "person",
        0.75,
        0.875,
        BBox(0.25, 0.25, 0.5, 0.75),
        313,
        10.43,
        start=0.3,
        end=10.4 if kind is EventType.END else None,
        best_sequence=300,
        best_bbox=BBox(0.1, 0.2, 0.4, 0.8),
        best_timestamp=10.0,
        best_score=0.8125,
        started=1767225600.3,
        frame_size=(1280, 720),
        current_zones=("drive",),
        entered_zones=("street", "drive"),
        crossings=(Crossing("gate", "in", 5.3),),
    )
    return event_document(event) | more


def test_the_object_is_what_frigate_documents_and_our_own_keys() -> None:
    after = frigate_message(None, document(snapshot="/pictures/a.jpg"))["after"]
    assert after == {
        "id": "1767225600.300000-abcdef",
        "camera": "front",
        "frame_time": 1767225610.43,
        "snapshot": {
            "frame_time": 1767225610.0,
            "box": [128, 144, 512, 576],
            "area": 384 * 432,
            "region": [0, 0, 1280, 720],
            "score": 0.8125,
            "attributes": [],
        },
        "label": "person",
        "sub_label": None,
        "top_score": 0.875,
        "false_positive": False,
        "start_time": 1767225600.3,
        "end_time": None,
        "score": 0.75,
        "box": [320, 180, 640, 540],
        "area": 320 * 360,
        "ratio": 0.888889,
        "region": [0, 0, 1280, 720],
        "current_zones": ["drive"],
        "entered_zones": ["street", "drive"],
        "thumbnail": None,
        "has_snapshot": True,
        "has_clip": False,
        "active": True,
        "stationary": False,
        "motionless_count": 0,
        "position_changes": 0,
        "attributes": {},
        "current_attributes": [],
        "current_estimated_speed": 0,
        "average_estimated_speed": 0,
        "velocity_angle": 0,
        "recognized_license_plate": None,
        "recognized_license_plate_score": None,
        "frame_size": [1280, 720],
        "frame": 313,
        "track_id": 7,
        "clock_synced": True,
        "crossings": [{"line": "gate", "direction": "in", "time": 1767225605.3}],
        "cut": None,
    }
    assert after.keys() == FRIGATES_KEYS | OUR_KEYS


@pytest.mark.parametrize("kind", list(EventType))
def test_the_message_has_the_type_and_both_sides_alike(kind: EventType) -> None:
    message = frigate_message(document(), document(kind))
    assert list(message) == ["type", "before", "after"]
    assert message["type"] == kind.value
    assert type(message["type"]) is str
    assert message["before"].keys() == message["after"].keys()
    assert json.loads(json.dumps(message, allow_nan=False)) == message


def test_before_is_the_object_as_it_was_told_last() -> None:
    earlier = document(current_zones=["street"], entered_zones=["street"], score=0.5)
    message = frigate_message(earlier, document(EventType.END))
    assert message["before"] == frigate_message(None, earlier)["after"]
    assert (message["before"]["current_zones"], message["after"]["current_zones"]) == (["street"], ["drive"])
    assert (message["before"]["end_time"], message["after"]["end_time"]) == (None, 1767225610.4)


def test_before_it_was_announced_an_object_was_in_no_zone_and_no_true_positive() -> None:
    message = frigate_message(None, document(EventType.NEW, snapshot="/pictures/a.jpg", stationary=True))
    before, after = message["before"], message["after"]
    assert (before["false_positive"], after["false_positive"]) == (True, False)
    assert (before["current_zones"], before["entered_zones"], before["crossings"]) == ([], [], [])
    assert (before["snapshot"], before["has_snapshot"], before["top_score"]) == (None, False, 0.0)
    assert (before["active"], before["stationary"]) == (True, False)
    same = ("id", "camera", "label", "start_time", "frame_time", "box", "frame_size", "track_id")
    assert [before[key] for key in same] == [after[key] for key in same]


def test_a_stationary_object_is_not_active() -> None:
    after = frigate_message(None, document(stationary=True, motionless_count=80, position_changes=2))["after"]
    assert (after["active"], after["stationary"]) == (False, True)
    assert (after["motionless_count"], after["position_changes"]) == (80, 2)


def test_documents_of_older_journals_lack_keys() -> None:
    old = {key: value for key, value in document().items() if key not in ADDED_SINCE}
    old["best"] = {"frame": 300, "box": [0.1, 0.2, 0.4, 0.8]}
    message = frigate_message(old, old | {"type": "end", "end_time": 1767225610.4, "cut": "edgecam ended"})
    after = message["after"]
    assert after.keys() == FRIGATES_KEYS | OUR_KEYS
    assert (after["frame_size"], after["box"], after["area"], after["ratio"]) == ([0, 0], [0, 0, 0, 0], 0, 0.0)
    assert (after["end_time"], after["cut"]) == (1767225610.4, "edgecam ended")
    assert (after["snapshot"]["frame_time"], after["snapshot"]["score"]) == (1767225610.43, 0.75)
    assert (after["clock_synced"], after["active"], after["current_zones"]) == (True, True, [])


def test_documents_are_left_as_they_are() -> None:
    before, after = document(), document(EventType.END)
    message = frigate_message(before, after)
    message["after"]["current_zones"].append("garden")
    message["after"]["crossings"][0]["line"] = "fence"
    message["after"]["frame_size"][0] = 1
    assert (before, after) == (document(), document(EventType.END))


edges = st.floats(-0.5, 1.5)


@given(st.lists(edges, min_size=4, max_size=4), st.tuples(st.integers(2, 8192), st.integers(2, 8192)))
def test_pixels_lie_in_the_frame_and_within_half_of_the_truth(box: list[float], size: tuple[int, int]) -> None:
    whole = pixels(box, size)
    for edge, pixel, length in zip(box, whole, [*size, *size], strict=True):
        assert type(pixel) is int
        assert 0 <= pixel <= length
        assert abs(pixel - min(max(edge, 0.0), 1.0) * length) <= 0.5


def test_a_box_thinner_than_a_pixel_has_a_ratio_too() -> None:
    after = frigate_message(None, document(box=[0.2, 0.50001, 0.4, 0.50002]))["after"]
    assert (after["box"], after["area"], after["ratio"]) == ([256, 360, 512, 360], 0, 256.0)
