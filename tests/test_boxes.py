"""The timed track of boxes: told, torn, read again, understood by FFmpeg, and drawn into a copy of the clip."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
from clip_stories import SMALL, encoded, evenly, shown, times, write_clip
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import InputError
from edgecam.overlay import Overlay
from edgecam.recording.boxes import HEADER, Boxes, BoxesWriter, Cue, boxes_path, read_boxes
from edgecam.recording.burning import burn
from edgecam.recording.checking import check
from edgecam.types import BBox, Track

pytestmark = pytest.mark.any_runtime

STILL = BBox(0.0, 0.0, 0.0, 0.0)


def track(number: int, xmin: float, label: str = "person", *, predicted: bool = False) -> Track:
    return Track(number, label, 0.875, BBox(xmin, 0.25, xmin + 0.25, 0.75), 1, 0, STILL, True, predicted)


def told(path: Path, frames: Sequence[tuple[float, tuple[Track, ...]]], start: float, end: float) -> list[Cue]:
    writer = BoxesWriter(path, start)
    for timestamp, tracks in frames:
        writer.write(timestamp, tracks)
    writer.close(end)
    writer.close(end)
    return list(read_boxes(path)) if path.exists() else []


tracks = st.builds(
    track,
    st.integers(0, 10**9),
    st.integers(-4, 8).map(lambda eighth: eighth / 8),
    st.text(max_size=12) | st.just("a --> b\n\nWEBVTT"),
    predicted=st.booleans(),
)


@given(st.lists(st.tuples(st.floats(0.001, 2.0), st.lists(tracks, max_size=3)), max_size=12), st.floats(0, 1e6))
def test_what_was_told_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, list[Track]]], start: float
) -> None:
    path = tmp_path_factory.mktemp("boxes") / "a.vtt"
    stamps = [start + float(at) for at in np.cumsum([step for step, _ in steps])]
    frames = [(at, tuple(found)) for at, (_, found) in zip(stamps, steps, strict=True)]
    cues = told(path, frames, start, start + 30.0)
    assert [cue.tracks for cue in cues] == [found for _, found in frames if found]
    assert [cue.start for cue in cues] == pytest.approx([at - start for at, found in frames if found], abs=1e-5)
    boxes = Boxes(cues)
    for at, found in frames:
        assert boxes.at(at - start) == found or min(np.diff(stamps)) < 0.003
    assert not path.exists() or path.read_bytes().isascii()


def test_each_frame_has_its_own_boxes_and_those_without_have_none(tmp_path: Path) -> None:
    frames = [(100 + number / 30, (track(1, number / 40),) if number % 3 else ()) for number in range(30)]
    boxes = Boxes(told(tmp_path / "a.vtt", frames, 100.0, 101.0))
    for at, found in frames:
        for error in (-0.0004, 0.0, 0.0004):  # players know milliseconds
            assert boxes.at(at - 100 + error) == found
        assert boxes.at(at - 100 + 0.02) == found  # and between two frames the earlier is on the screen
    assert boxes.at(-1.0) == boxes.at(2.0) == ()


def test_ffmpeg_reads_the_same_cues(tmp_path: Path) -> None:
    frames = [(5 + number / 10, (track(number, 0.1),)) for number in range(20)]
    told(tmp_path / "a.vtt", frames, 5.0, 7.0)
    with av.open(str(tmp_path / "a.vtt")) as container:
        assert container.format.name == "webvtt"
        packets = [packet for packet in container.demux() if packet.size]
    assert len(packets) == 20
    assert [json.loads(bytes(packet))["tracks"][0]["track_id"] for packet in packets] == list(range(20))
    assert [packet.pts for packet in packets] == [100 * number for number in range(20)]


def test_the_form_is_the_one_that_is_promised(tmp_path: Path) -> None:
    told(tmp_path / "a.vtt", [(3601.0 + 1 / 30, (track(7, 0.5, predicted=True),)), (3602.0, ())], 0.0, 3603.0)
    assert (tmp_path / "a.vtt").read_text("ascii") == (
        "WEBVTT edgecam boxes\n\n01:00:01.033 --> 01:00:02.000\n"
        '{"t":3601.033333,"tracks":[{"track_id":7,"label":"person","score":0.875,'
        '"bbox":[0.5,0.25,0.75,0.75],"predicted":true}]}\n\n'
    )


def test_torn_at_any_byte_only_the_last_cue_is_lost(tmp_path: Path) -> None:
    frames = [(number / 10, (track(number, 0.1),)) for number in range(6)]
    cues = told(tmp_path / "a.vtt", frames, 0.0, 0.6)
    content = (tmp_path / "a.vtt").read_bytes()
    for cut in range(len(content)):
        (tmp_path / "torn.vtt").write_bytes(content[:cut])
        whole = content[:cut].count(b"]}]}\n") + content[:cut].endswith(b"]}]}")
        assert list(read_boxes(tmp_path / "torn.vtt")) == cues[:whole]


def test_it_grows_with_the_clip(tmp_path: Path) -> None:
    writer = BoxesWriter(tmp_path / "a.vtt", 0.0)
    for number in range(90):
        writer.write(number / 30, (track(1, 0.1),))
        if number > 20:
            assert number - len(list(read_boxes(tmp_path / "a.vtt"))) <= 17
    writer.close(3.0)
    assert writer.cues == len(list(read_boxes(tmp_path / "a.vtt"))) == 90


def test_without_anything_to_see_there_is_no_file(tmp_path: Path) -> None:
    assert told(tmp_path / "a.vtt", [(1.0, ()), (2.0, ())], 1.0, 3.0) == []
    assert not list(tmp_path.iterdir())


def test_what_came_before_the_clip_is_left_out(tmp_path: Path) -> None:
    frames = [(number / 10, (track(number, 0.1),)) for number in range(10)]
    cues = told(tmp_path / "a.vtt", frames, 0.5, 1.0)
    assert [cue.tracks[0].track_id for cue in cues] == [5, 6, 7, 8, 9]


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_content_upsets_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("boxes") / "a.vtt"
    path.write_bytes(HEADER + b"00:00:01.000 --> 00:00:02.000\n" + content)
    for cue in read_boxes(path):
        assert math.isfinite(cue.start)


NOT_A_TRACK = [
    '{"track_id":1,"label":"x","score":NaN,"bbox":[0,0,1,1]}', '{"track_id":1,"label":3,"score":1,"bbox":[0,0,1,1]}',
    '{"track_id":1,"label":"x","score":1,"bbox":[0,0,1]}', '{"track_id":1e999,"label":"x","score":1,"bbox":[0,0,1,1]}',
    "[]", "null", '"text"', "7",
]  # fmt: skip


@pytest.mark.parametrize("document", NOT_A_TRACK)
def test_what_is_not_a_track_is_left_out(tmp_path: Path, document: str) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(f'WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n{{"t":1.0,"tracks":[{document}]}}\n')
    assert list(read_boxes(path)) == []


def test_the_copy_has_in_every_picture_the_boxes_of_that_picture(tmp_path: Path) -> None:
    """The box jumps from frame to frame: one that is drawn a frame late is somewhere else."""
    stamps = [50 + float(at) for at in np.cumsum(np.random.default_rng(1).uniform(0.02, 0.2, 40))]
    stream, packets = encoded(stamps, size=(320, 180))
    clip = write_clip(tmp_path / "a.mp4", packets, stream)
    frames = [(at, (track(1, (number * 7 % 20) / 26),)) for number, at in enumerate(stamps)]
    told(boxes_path(clip.path), frames, clip.start, clip.end)
    overlay = Overlay(show_labels=False)
    copy = burn(clip.path, tmp_path / "copy.mp4", overlay)
    assert (copy.frames, check(copy.path).ok) == (40, True)
    plain, drawn = shown(clip.path), shown(copy.path)
    assert times(drawn) == pytest.approx(times(plain), abs=3e-5)
    for (_, found), before, after in zip(frames, plain, drawn, strict=True):
        expected = before.to_ndarray(format="yuv420p")
        overlay.draw(expected, found, None, "")
        assert np.abs(after.to_ndarray(format="yuv420p").astype(int) - expected).mean() < 4
        changed = expected != before.to_ndarray(format="yuv420p")
        difference = np.abs(after.to_ndarray(format="yuv420p").astype(int) - expected)[changed]
        assert difference.mean() < 15


def test_a_clip_without_boxes_is_copied_with_the_clock(tmp_path: Path) -> None:
    stream, packets = encoded(evenly(10, 10))
    clip = write_clip(tmp_path / "a.mp4", packets, stream)
    burn(clip.path, tmp_path / "b.mp4", Overlay(), started=datetime(2026, 1, 1, 12, tzinfo=UTC))
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.metadata["creation_time"].startswith("2026-01-01T12:00:00")
        assert (container.streams.video[0].width, container.streams.video[0].height) == SMALL
    assert check(tmp_path / "b.mp4").frames == 10


@pytest.mark.parametrize("content", [None, b"", b"no video", bytes(9000)])
def test_what_cannot_be_copied_is_said_in_one_line_and_leaves_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4: ") as caught:
        burn(tmp_path / "a.mp4", tmp_path / "b.mp4", Overlay())
    assert "\n" not in str(caught.value)
    assert not [*tmp_path.glob("b.mp4*")]


def test_of_a_torn_clip_all_that_plays_is_copied(tmp_path: Path) -> None:
    stream, packets = encoded(evenly(60, 30))
    clip = write_clip(tmp_path / "a.mp4", packets, stream)
    clip.path.write_bytes(clip.path.read_bytes()[:-100])
    copy = burn(clip.path, tmp_path / "b.mp4", Overlay())
    assert 45 <= copy.frames <= 60
    assert check(copy.path).frames == copy.frames


def test_a_target_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    stream, packets = encoded(evenly(60, 30))
    clip = write_clip(tmp_path / "a.mp4", packets, stream)
    before = clip.path.read_bytes()
    with pytest.raises(FileExistsError):
        burn(clip.path, clip.path, Overlay())
    assert clip.path.read_bytes() == before
