"""Playing videos: their pixels and their time."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_videos import FPS, FRAMES, SIZE, make_video, number_of, numbered_picture, turned, video_bytes
from playing import START, camera_on, play, played, steps, times

from edgecam.cameras.video_file import VideoFileCamera
from edgecam.errors import CameraError, EndOfStream, InputError
from edgecam.late_picture import LatePicture
from edgecam.testing import ManualClock
from edgecam.yuv import lores_from_i420, planes, rgb_to_i420


class TestPixels:
    @pytest.mark.parametrize("size", [(64, 48), (66, 50), (322, 18)], ids=str)
    def test_planes_arrive_bit_by_bit(self, tmp_path: Path, size: tuple[int, int]) -> None:
        """A lossless codec; widths that the decoder pads."""
        rng = np.random.default_rng(1)
        pictures = [rng.integers(16, 236, (size[1] * 3 // 2, size[0]), dtype=np.uint8) for _ in range(3)]
        frames = played(make_video(tmp_path / "a.mkv", pictures, codec="ffv1"))
        assert all(np.array_equal(frame.main, picture) for frame, picture in zip(frames, pictures, strict=True))

    def test_main_is_copied_from_the_decoder_when_somebody_looks(self, tmp_path: Path) -> None:
        """Also after the last picture, and after the camera was closed."""
        frames = played(make_video(tmp_path / "a.mp4"))
        late = [frame.picture for frame in frames if isinstance(frame.picture, LatePicture)]
        assert [picture.made for picture in late] == [None] * FRAMES
        assert [number_of(frame.main) for frame in reversed(frames)] == list(reversed(range(FRAMES)))
        for frame in frames:
            assert np.array_equal(frame.lores, lores_from_i420(frame.main, frame.lores.shape[1::-1]))

    def test_an_odd_last_row_and_column_are_dropped(self, tmp_path: Path) -> None:
        picture = rgb_to_i420(np.full((48, 64, 3), 99, np.uint8))
        path = tmp_path / "odd.mkv"
        with av.open(str(path), "w") as video:
            stream: Any = video.add_stream("ffv1", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 63, 47, "yuv420p"
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p").reformat(63, 47)))
            video.mux(stream.encode())
        (frame,) = played(path)
        assert (frame.width, frame.height) == (62, 46)
        assert np.ptp(planes(frame.main)[0]) == 0

    @pytest.mark.parametrize(
        ("name", "codec", "pix_fmt"),
        [("a.avi", "mjpeg", "yuvj420p"), ("b.avi", "mjpeg", "yuvj422p"), ("a.mkv", "ffv1", "yuv420p")],
    )
    def test_full_range_becomes_limited(self, tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
        """By its pixel format, or by its flag."""
        blue = np.empty((72, 64), np.uint8)
        for plane, value in zip(planes(blue), (29, 255, 107), strict=True):
            plane[...] = value
        with av.open(str(tmp_path / name), "w") as video:
            stream: Any = video.add_stream(codec, rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
            stream.codec_context.color_range = 2
            frame = av.VideoFrame.from_ndarray(blue, "yuvj420p" if pix_fmt == "yuvj422p" else pix_fmt).reformat(
                format=pix_fmt
            )
            frame.color_range = 2
            video.mux(stream.encode(frame))
            video.mux(stream.encode())
        (played_frame,) = played(tmp_path / name)
        assert [round(float(plane.mean())) for plane in planes(played_frame.main)] == [
            pytest.approx(value, abs=1) for value in (41, 240, 110)
        ]
        assert np.abs(played_frame.lores.astype(int) - (0, 0, 255)).max() <= 3

    @pytest.mark.parametrize(
        ("codec", "pix_fmt"),
        [("ffv1", "yuv422p"), ("ffv1", "yuv420p10le"), ("ffv1", "gray"), ("ffv1", "bgra"), ("libx264", "nv12")],
    )
    def test_other_pixel_formats_are_converted(self, tmp_path: Path, codec: str, pix_fmt: str) -> None:
        frames = played(make_video(tmp_path / "a.mkv", codec=codec, pix_fmt=pix_fmt))
        assert [number_of(frame.main) for frame in frames] == list(range(FRAMES))

    def test_the_small_picture_of_bt709_video_has_the_right_colours(self, tmp_path: Path) -> None:
        """Pure red in BT.709 is Y 63, U 102, V 240 in limited range."""
        red = np.empty((72, 64), np.uint8)
        for plane, value in zip(planes(red), (63, 102, 240), strict=True):
            plane[...] = value
        options = {"qp": "0"}
        (frame,) = played(make_video(tmp_path / "a.mp4", [red], colorspace=1, options=options))
        assert np.abs(frame.lores.astype(int) - (255, 0, 0)).max() <= 3
        (frame,) = played(make_video(tmp_path / "b.mp4", [red], options=options))
        assert np.abs(frame.lores.astype(int) - (255, 0, 0)).max() > 20

    def test_a_wanted_size_is_delivered(self, tmp_path: Path) -> None:
        frames = played(make_video(tmp_path / "a.mp4"), size=(100, 20))
        assert {(frame.width, frame.height) for frame in frames} == {(100, 20)}
        assert [number_of(frame.main) for frame in frames] == list(range(FRAMES))

    @pytest.mark.parametrize(
        ("matrix", "bright"),
        [((0, 1, -1, 0), "top right"), ((-1, 0, 0, -1), "bottom right"), ((0, -1, 1, 0), "bottom left")],
        ids=["90", "180", "270"],
    )
    def test_a_turned_video_stands_upright(
        self, tmp_path: Path, matrix: tuple[int, int, int, int], bright: str
    ) -> None:
        path = tmp_path / "turned.mp4"
        path.write_bytes(turned(video_bytes("mp4", "libx264"), matrix))
        frame = played(path)[0]
        assert (frame.width, frame.height) == (SIZE if matrix[0] else SIZE[::-1])
        y, _, v = planes(frame.main)
        rows, columns = bright.split()
        for plane in (y, v):
            top, left = plane[: plane.shape[0] // 5], plane[:, : plane.shape[1] // 5]
            bottom, right = plane[-(plane.shape[0] // 5) :], plane[:, -(plane.shape[1] // 5) :]
            assert (top.mean() > bottom.mean()) == (rows == "top")
            assert (left.mean() > right.mean()) == (columns == "left")

    def test_a_change_of_size_on_the_way_is_stretched(self, tmp_path: Path) -> None:
        """Two transport streams in one file: the size changes, the timestamps start again."""
        large = [numbered_picture(number, (96, 80)) for number in range(FRAMES)]
        parts = [
            make_video(tmp_path / "a.ts").read_bytes(),
            make_video(tmp_path / "b.ts", large).read_bytes(),
        ]
        (tmp_path / "ab.ts").write_bytes(b"".join(parts))
        frames = played(tmp_path / "ab.ts")
        assert {(frame.width, frame.height) for frame in frames} == {SIZE}
        assert [number_of(frame.main) for frame in frames] == 2 * list(range(FRAMES))
        assert times(frames) == steps(2 * FRAMES)


class TestTime:
    def test_timestamps_are_those_of_the_video(self, tmp_path: Path) -> None:
        uneven = [0, 1, 2, 5, 6, 7, 17, 18]
        pictures = [numbered_picture(number) for number in range(len(uneven))]
        frames = played(make_video(tmp_path / "a.mkv", pictures, stamps=uneven, options={"bf": "0"}))
        assert times(frames) == [round(number / FPS, 3) for number in uneven]

    def test_real_time_waits_for_each_frame(self, tmp_path: Path) -> None:
        clock = ManualClock(START)
        camera = camera_on(make_video(tmp_path / "a.mp4"), pace="realtime", clock=clock)
        with camera:
            seen = [
                (frame.sequence if frame else None, round(clock.monotonic() - START, 3))
                for frame in (camera.read(0.06) for _ in range(5))
            ]
        assert seen == [(0, 0.0), (None, 0.06), (1, 0.1), (None, 0.16), (2, 0.2)]
        assert not camera.lossless

    def test_as_fast_as_possible_never_waits(self, tmp_path: Path) -> None:
        clock = ManualClock(START)
        camera = camera_on(make_video(tmp_path / "a.mp4"), clock=clock)
        assert times(play(camera)) == steps(FRAMES)
        assert clock.monotonic() == START
        assert camera.lossless

    def test_after_a_stall_the_video_goes_on_from_now(self, tmp_path: Path) -> None:
        clock = ManualClock(START)
        with camera_on(make_video(tmp_path / "a.mp4"), pace="realtime", clock=clock) as camera:
            camera.read(1.0)
            clock.advance(60)
            frames = [camera.read(1.0) for _ in range(3)]
        assert times([frame for frame in frames if frame]) == [60, 60.1, 60.2]

    def test_a_loop_starts_again_and_time_goes_on(self, tmp_path: Path) -> None:
        with camera_on(make_video(tmp_path / "a.mp4"), loop=True) as camera:
            frames = play(camera, 3 * FRAMES)
            assert camera.duration is camera.frames_estimate is None
        assert [number_of(frame.main) for frame in frames] == 3 * list(range(FRAMES))
        assert times(frames) == steps(3 * FRAMES)

    def test_a_loop_over_a_file_that_has_gone_is_a_fault(self, tmp_path: Path) -> None:
        path = make_video(tmp_path / "a.mp4")
        with camera_on(path, loop=True) as camera:
            path.unlink()
            with pytest.raises(CameraError, match=r"a\.mp4: cannot be played again: .*No such file"):
                play_on(camera)
            with pytest.raises(InputError, match="no such file"):
                camera.open()

    def test_the_rate_can_be_overruled(self, tmp_path: Path) -> None:
        assert times(played(make_video(tmp_path / "a.mp4"), fps=4.0)) == steps(FRAMES, 0.25)

    def test_the_header_s_length_and_rate_are_estimates(self, tmp_path: Path) -> None:
        camera = camera_on(make_video(tmp_path / "a.mp4"))
        assert camera.duration is camera.frames_estimate is None
        with camera:
            assert camera.duration == pytest.approx(FRAMES / FPS)
            assert camera.frames_estimate == FRAMES
            assert camera.source_fps == pytest.approx(FPS)
        with camera_on(make_video(tmp_path / "a.mkv")) as camera:
            assert camera.frames_estimate == pytest.approx(FRAMES, abs=1)

    def test_a_header_with_wrong_length_and_count_is_not_believed(self, tmp_path: Path) -> None:
        avi = bytearray(make_video(tmp_path / "a.avi", codec="mpeg4").read_bytes())
        struct.pack_into("<I", avi, avi.index(b"avih") + 8 + 16, 3)  # dwTotalFrames
        struct.pack_into("<I", avi, avi.index(b"strh") + 8 + 32, 3)  # dwLength
        (tmp_path / "a.avi").write_bytes(avi)
        mp4 = bytearray(video_bytes("mp4", "libx264"))
        for box in (b"mvhd", b"tkhd"):
            struct.pack_into(">I", mp4, mp4.index(box) + 4 + (16 if box == b"mvhd" else 20), 7_000_000)
        (tmp_path / "a.mp4").write_bytes(mp4)
        for name in ("a.avi", "a.mp4"):
            assert times(played(tmp_path / name)) == steps(FRAMES)

    def test_a_raw_stream_without_timestamps_plays_evenly(self, tmp_path: Path) -> None:
        passed = times(played(make_video(tmp_path / "a.h264", container="h264")))
        assert len(passed) == FRAMES
        assert np.ptp(np.diff(passed)) < 0.002


def play_on(camera: VideoFileCamera) -> None:
    while True:
        camera.read(1.0)


class TestRealVideos:
    @pytest.mark.parametrize(
        ("name", "count", "fps"),
        [
            ("vtest.avi", 795, 10),
            ("intel_car-detection.mp4", 377, 12.5),
            ("intel_one-by-one-person-detection.mp4", 1394, 10),
        ],
    )
    def test_every_frame_is_delivered_at_its_rate(self, assets: Path, name: str, count: int, fps: float) -> None:
        camera = camera_on(assets / "videos" / name)
        camera.open()
        last, total = -1.0, 0
        while True:
            try:
                frame = camera.read(1.0)
            except EndOfStream:
                break
            assert frame is not None
            assert frame.timestamp > last
            last, total = frame.timestamp, total + 1
        assert total == count
        assert camera.damaged == 0
        assert camera.source_fps == pytest.approx(fps)
        assert last - START == pytest.approx((count - 1) / fps, abs=0.5)

    @pytest.mark.parametrize("name", ["vtest.avi", "intel_car-detection.mp4"])
    def test_cut_at_30_percent(self, assets: Path, tmp_path: Path, name: str) -> None:
        """Both can be played: the AVI needs no index, this MP4 has it in front."""
        content = (assets / "videos" / name).read_bytes()
        path = tmp_path / name
        path.write_bytes(content[: len(content) * 3 // 10])
        camera = camera_on(path)
        frames = play(camera)
        assert camera.frames_estimate is not None
        assert 0.25 < len(frames) / camera.frames_estimate < 0.35
        assert camera.damaged > 0
