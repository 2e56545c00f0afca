"""The packet ring against a plain list of packets, and against its bounds."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from clip_stories import encoded, evenly, street
from hypothesis import given
from hypothesis import strategies as st

from edgecam.preroll import Packet, PacketRing
from edgecam.recording.encoder import Encoder, EncoderOptions

LABS = os.environ.get("EDGECAM_LABS") == "1"
MOST_BYTES = 12_000_000


def packet(timestamp: float, size: int = 100, *, keyframe: bool = False) -> Packet:
    return Packet(bytes(size), timestamp, 1 / 30, keyframe)


@st.composite
def streams(draw: st.DrawFn) -> list[Packet]:
    """Packets at irregular times, keyframes wherever the encoder liked, sizes up to more than the ring holds."""
    count = draw(st.integers(0, 60))
    gaps = draw(st.lists(st.floats(0.001, 0.7), min_size=count, max_size=count))
    sizes = draw(st.lists(st.integers(1, 400), min_size=count, max_size=count))
    keys = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    stamps: list[float] = np.cumsum(gaps).tolist()
    return [
        packet(at, size, keyframe=key) for at, size, key in zip(stamps, sizes, keys, strict=True)
    ]  # fmt: skip


@given(streams(), st.floats(0, 5), st.integers(1, 3000))
def test_it_is_bounded_begins_with_a_keyframe_and_counts_what_it_let_go(
    packets: list[Packet], seconds: float, most: int
) -> None:
    ring = PacketRing(seconds, most)
    for number, each in enumerate(packets, 1):
        ring.put(each)
        kept = ring.since(float("-inf"))
        assert kept == packets[number - len(kept) : number]
        assert ring.bytes == sum(len(one.data) for one in kept) <= most
        assert not kept or kept[0].keyframe
        assert len(kept) + ring.expired + ring.dropped == number
        later_keys = [one.timestamp for one in kept[1:] if one.keyframe]
        assert not later_keys or later_keys[0] > each.timestamp - seconds  # no more than one keyframe too many


@given(streams(), st.floats(0, 5), st.floats(-1, 45))
def test_what_it_gives_begins_at_the_last_keyframe_at_or_before_the_time(
    packets: list[Packet], seconds: float, wanted: float
) -> None:
    ring = PacketRing(seconds, 1_000_000)
    for each in packets:
        ring.put(each)
    given_back = ring.since(wanted)
    if not any(each.keyframe for each in packets):
        assert given_back == []
        return
    newest = packets[-1].timestamp
    keys = [each.timestamp for each in packets if each.keyframe]
    if newest - seconds <= wanted and keys[0] <= wanted:
        assert given_back[0].timestamp == max(at for at in keys if at <= wanted)
    assert given_back == packets[-len(given_back) :]
    assert given_back[0].keyframe


@pytest.mark.parametrize("fps", [5.0, 15.0, 30.0])
def test_a_real_stream_begins_at_or_before_the_wanted_time_and_within_one_keyframe_of_it(fps: float) -> None:
    ring = PacketRing(5.0, MOST_BYTES)
    for each in encoded(evenly(round(12 * fps), fps))[1]:
        ring.put(each)
    for wanted in np.random.default_rng(3).uniform(1007, 1012 - 1 / fps, 200):
        assert 0 <= wanted - ring.since(wanted)[0].timestamp < 1.0 + 0.5 / fps
    assert 5.0 <= ring.seconds < 6.0 + 0.5 / fps
    assert ring.dropped == 0 < ring.expired


def test_where_the_time_is_too_old_the_oldest_keyframe_is_given() -> None:
    ring = PacketRing(2.0, 10_000)
    for number in range(40):
        ring.put(packet(number / 10, keyframe=number % 10 == 0))
    assert ring.since(-5.0)[0].timestamp == 1.0
    assert ring.since(100.0)[0].timestamp == 3.0


def test_a_group_that_is_too_large_goes_as_a_whole_and_the_ring_waits_for_the_next_keyframe() -> None:
    ring = PacketRing(10.0, 250)
    for at in range(4):
        ring.put(packet(float(at), keyframe=at == 0))
    assert (ring.since(0.0), ring.dropped, ring.bytes) == ([], 4, 0)
    ring.put(packet(4.0, keyframe=True))
    assert len(ring.since(0.0)) == 1


def test_it_can_forget_everything() -> None:
    ring = PacketRing(10.0, 1000)
    ring.put(packet(0.0, keyframe=True))
    ring.clear()
    ring.put(packet(1.0))
    assert (ring.since(0.0), ring.seconds, ring.bytes) == ([], 0.0, 0)


@pytest.mark.parametrize(("seconds", "most"), [(-1.0, 100), (1.0, 0)])
def test_impossible_bounds_are_refused(seconds: float, most: int) -> None:
    with pytest.raises(ValueError, match="at least 0 s and 1 byte"):
        PacketRing(seconds, most)


@pytest.mark.parametrize("noise", [0.0, 4.0, 12.0])
@pytest.mark.parametrize("light", ["day", "rain"] if LABS else ["day"])
def test_ten_seconds_at_720p30_stay_within_twelve_megabytes_whatever_the_sensor_sees(
    light: str, noise: float, record_property: Callable[[str, object], None]
) -> None:
    """With the encoder's defaults (quality 23, superfast, at most 8 Mbit/s); noise is a sensor's at night."""
    seconds, fps = (11.0, 30) if LABS else (2.0, 30)
    pictures, random = street(60, (1280, 720), light), np.random.default_rng(5)
    grain = [random.normal(0, noise, pictures[0].shape).astype(np.int8) for _ in range(7)]
    ring = PacketRing(10.0, 10**9)
    largest = 0
    with Encoder((1280, 720), EncoderOptions()) as encoder:
        for number in range(round(seconds * fps)):
            turn, place = divmod(number, len(pictures))
            clean = pictures[place if turn % 2 == 0 else -1 - place].astype(np.int16)
            noisy = np.clip(clean + grain[number % len(grain)], 0, 255).astype(np.uint8)
            for each in encoder.encode(noisy, number / fps):
                ring.put(each)
                largest = max(largest, ring.bytes)
    record_property("largest_bytes", largest)
    # In CI two seconds stand for eleven: a second's budget to begin with, and one for each second.
    assert largest <= (MOST_BYTES if LABS else 1_000_000 * (1 + seconds))
