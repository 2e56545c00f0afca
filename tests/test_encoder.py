"""The encoder: every frame once, under its own time, keyframes by the clock, and what it refuses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_stories import SMALL, encoded, evenly, shown, street, times, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.errors import InputError, SinkError
from edgecam.preroll import Packet, PacketRing
from edgecam.recording import encoder as encoding
from edgecam.recording.encoder import CODECS, Encoder, EncoderOptions
from edgecam.recording.fragments import FragmentWriter
from edgecam.recording.h264 import configuration, is_whole, kind, sample, units

pytestmark = pytest.mark.any_runtime

LABS = os.environ.get("EDGECAM_LABS") == "1"


def keyframe_gaps(packets: list[Packet]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.diff([each.timestamp for each in packets if each.keyframe])


def irregular(count: int, seed: int) -> list[float]:
    return [1000 + float(at) for at in np.cumsum(np.random.default_rng(seed).uniform(0.02, 0.3, count))]


@pytest.mark.parametrize("options", [EncoderOptions(), EncoderOptions(max_bitrate=0), EncoderOptions(threads=3)])
@pytest.mark.parametrize("stamps", [evenly(75, 30), evenly(20, 5), irregular(60, 1), [7.0]])
def test_every_frame_becomes_one_packet_under_its_own_time(stamps: list[float], options: EncoderOptions) -> None:
    _, packets = encoded(stamps, options)
    assert [each.timestamp for each in packets] == stamps
    shows = [each.duration for each in packets[:-1]]
    assert shows == pytest.approx(np.diff(stamps).tolist())
    assert all(0 < each.duration <= 1.0 for each in packets)
    assert all(is_whole(each.data) for each in packets)


@pytest.mark.parametrize("options", [EncoderOptions(), EncoderOptions(max_bitrate=0), EncoderOptions(threads=3)])
def test_packets_come_out_one_frame_late(options: EncoderOptions) -> None:
    with Encoder(SMALL, options) as encoder:
        late = [len(encoder.encode(image, number / 30)) for number, image in enumerate(street(40))]
    assert late == [0] + 39 * [1]


@pytest.mark.parametrize("fps", [5.0, 15.0, 30.0])
@pytest.mark.parametrize("interval", [0.5, 1.0, 2.0])
def test_keyframes_come_by_the_clock_at_any_rate(fps: float, interval: float) -> None:
    stamps = evenly(round(8 * fps), fps)
    packets = encoded(stamps, EncoderOptions(keyframe_interval=interval))[1]
    assert packets[0].keyframe
    gaps = keyframe_gaps(packets)
    assert len(gaps) >= 2
    assert np.all(np.abs(gaps - interval) <= 0.5 / fps + 1e-9)


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_keyframes_come_by_the_clock_when_frames_come_as_they_like(seed: int) -> None:
    stamps = irregular(80, seed)
    gaps = keyframe_gaps(encoded(stamps)[1])
    widest = max(np.diff(stamps))
    assert len(gaps) >= 3
    assert all(1.0 - widest / 2 <= gap <= 1.0 + widest for gap in gaps)


def test_a_time_that_does_not_advance_counts_as_a_tick() -> None:
    packets = encoded([5.0, 5.1, 5.1, 4.9, 5.2])[1]
    stamps = [each.timestamp for each in packets]
    assert stamps == pytest.approx([5.0, 5.1, 5.1, 5.1, 5.2], abs=0.001)
    assert all(np.diff(stamps) > 0)


def test_there_are_no_b_frames_and_the_pictures_are_those_given(tmp_path: Path) -> None:
    pictures = street(40)
    stream, packets = encoded(evenly(40, 30), EncoderOptions(quality=4, max_bitrate=0))
    clip = write_clip(tmp_path / "a.mp4", packets, stream)
    frames = shown(clip.path)
    assert times(frames) == pytest.approx([number / 30 for number in range(40)], abs=1e-4)
    assert all(frame.pict_type != av.video.frame.PictureType.B for frame in frames)
    for frame, given_in in zip(frames, pictures, strict=True):
        assert np.abs(frame.to_ndarray(format="yuv420p").astype(int) - given_in).mean() < 2


@pytest.mark.parametrize(("matrix", "code"), [("bt601", 6), ("bt709", 1)])
def test_the_stream_says_what_its_colours_mean(tmp_path: Path, matrix: str, code: int) -> None:
    stream, packets = encoded(evenly(3, 30), EncoderOptions(matrix=matrix))
    clip = write_clip(tmp_path / "a.mp4", packets, stream)
    with av.open(str(clip.path)) as container:
        context = container.streams.video[0].codec_context
        next(container.decode(video=0))
        assert (context.name, context.width, context.height) == ("h264", *SMALL)
        assert (context.colorspace, context.color_primaries, context.color_trc) == (code, code, code)
        assert context.color_range == 1  # limited


def test_of_the_codecs_the_first_that_works_is_taken_and_says_why_others_were_not() -> None:
    with Encoder(SMALL) as encoder:
        assert encoder.name in CODECS
        assert set(encoder.rejected) == set(CODECS[: CODECS.index(encoder.name)])
        assert all(encoder.rejected.values())
        assert encoder.stream.size == SMALL
        assert encoder.stream.codec == "h264"


def test_a_codec_that_does_not_keep_its_promises_on_trial_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's Huffman coder opens on every machine and encodes, but what it gives is not H.264."""
    monkeypatch.setattr(encoding, "CODECS", ("ffvhuff", "libx264"))
    with Encoder(SMALL) as encoder:
        assert encoder.name == "libx264"
        assert "parameter sets" in encoder.rejected["ffvhuff"]


def test_a_codec_that_ffmpeg_was_built_without_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "CODECS", ("h264_unheard_of",))
    with pytest.raises(SinkError, match=r"no H\.264 encoder works for 160x96 .*h264_unheard_of: not in this PyAV"):
        Encoder(SMALL).open()


@pytest.mark.parametrize(
    ("size", "options", "words"),
    [
        ((161, 96), EncoderOptions(), "161x96"),
        ((0, 0), EncoderOptions(), "0x0"),
        ((100_000, 96), EncoderOptions(), "100000x96"),
        (SMALL, EncoderOptions(codec="vp9"), "'vp9': choose h264_v4l2m2m, libx264 or auto"),
        (SMALL, EncoderOptions(preset="sluggish"), "'sluggish': choose one of ultrafast"),
        (SMALL, EncoderOptions(matrix="bt2020"), "'bt2020': choose bt601 or bt709"),
        (SMALL, EncoderOptions(keyframe_interval=0.0), "keyframe_interval 0 s"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(
    size: tuple[int, int], options: EncoderOptions, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Encoder(size, options).open()
    assert "\n" not in str(caught.value)


def test_a_picture_of_another_size_is_refused_and_the_next_is_taken() -> None:
    with Encoder(SMALL) as encoder:
        with pytest.raises(SinkError, match="60x64: I420 of 160x96"):
            encoder.encode(np.zeros((60, 64), np.uint8), 1.0)
        assert len(encoder.encode(street(1)[0], 1.0) + encoder.flush()) == 1


def test_a_closed_encoder_refuses_and_an_opened_one_begins_anew() -> None:
    encoder = Encoder(SMALL)
    with pytest.raises(SinkError, match="not open"):
        encoder.encode(street(1)[0], 0.0)
    with pytest.raises(SinkError, match="not open"):
        _ = encoder.stream
    assert encoder.flush() == []
    for start in (5.0, 1.0):
        with encoder:
            packets = [each for image in street(3) for each in encoder.encode(image, start)] + encoder.flush()
        assert [each.keyframe for each in packets] == [True, False, False]
        assert packets[0].timestamp == start
    encoder.close()


def test_hardware_gets_a_rate_and_the_processor_a_quality_with_a_bound() -> None:
    hardware = encoding._settings("h264_v4l2m2m", (1280, 720), EncoderOptions())
    assert int(hardware["b"]) == pytest.approx(2_764_800)
    assert int(encoding._settings("h264_v4l2m2m", (1280, 720), EncoderOptions(bitrate=500))["b"]) == 500
    assert encoding._settings("libx264", SMALL, EncoderOptions(bitrate=500)).get("crf") is None


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_units_are_found_between_their_start_codes(bodies: list[bytes]) -> None:
    wanted = [body.replace(b"\0", b"\1") for body in bodies]
    stream = b"".join(b"\0" * (number % 2) + b"\0\0\1" + body for number, body in enumerate(wanted))
    assert list(units(stream)) == wanted
    assert is_whole(sample(stream)) or not any(kind(unit) not in {7, 8, 9, 12} for unit in wanted)


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reading_of_units(data: bytes) -> None:
    found = list(units(data))
    configuration(found)
    sample(data)
    is_whole(data)


@pytest.mark.skipif(not LABS, reason="measures processor time, two minutes: EDGECAM_LABS=1")
def test_it_takes_no_more_processor_time_than_ffmpeg(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The whole recorder, pre-roll and fragments included, beside FFmpeg's own loop and muxer on the same frames."""
    pictures = street(90, (1280, 720))
    rounds = [(recorder_time(pictures, tmp_path), ffmpeg_time(pictures, tmp_path)) for _ in range(5)]
    ours, theirs = (min(column) for column in zip(*rounds, strict=True))
    record_property("milliseconds_a_frame", [ours / len(pictures) * 1000, theirs / len(pictures) * 1000])
    assert ours / theirs <= 1.15


def recorder_time(pictures: tuple[Any, ...], folder: Path) -> float:
    with Encoder((1280, 720), EncoderOptions(codec="libx264")) as encoder:
        ring, writer = PacketRing(10.0, 12_000_000), FragmentWriter(folder / "ours.mp4", encoder.stream)
        before = time.process_time()
        for number, image in enumerate(pictures):
            packets = encoder.encode(image, number / 30)
            for packet in packets:
                ring.put(packet)
            writer.write(packets)
        writer.write(encoder.flush())
        assert writer.finish() is not None
        taken = time.process_time() - before
    (folder / "ours.mp4").unlink()
    return taken


def ffmpeg_time(pictures: tuple[Any, ...], folder: Path) -> float:
    options = {**encoding._settings("libx264", (1280, 720), EncoderOptions()), "g": "30"}
    movflags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    container: Any = av.open(str(folder / "theirs.mp4"), "w", options=movflags)
    stream = container.add_stream("libx264", rate=30, options=options)
    stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
    stream.codec_context.thread_count = 1
    before = time.process_time()
    for number, image in enumerate(pictures):
        frame = av.VideoFrame.from_numpy_buffer(image, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    return time.process_time() - before
