"""Bad input, through the real command line: one clear line on stderr, the right exit code, nothing half-written."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import tiny_models

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, the lines on stderr."""

    code: int
    out: str
    said: list[str]


Edgecam = Callable[..., Outcome]


def drop_the_right_to_ignore_permissions() -> None:
    """Makes root as bound by file permissions as anybody, from the next program on; no change for others."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture
def edgecam(tmp_path: Path) -> Edgecam:
    """Runs the command line in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGECAM_C")}

    def command(*arguments: str | Path, **options: Any) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "edgecam", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
            preexec_fn=drop_the_right_to_ignore_permissions,
            **options,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.splitlines())

    return command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that runs, with its two labels beside it."""
    path = tmp_path / "models" / "tiny.tflite"
    path.parent.mkdir()
    path.write_bytes(tiny_models.detector())
    path.with_suffix(".txt").write_text("cat\ndog\n")
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "good.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((48, 64, 3), 128, np.uint8))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder for copies that does not exist yet."""
    return tmp_path / "out"


def assert_refused(outcome: Outcome, code: int, *words: str) -> None:
    """One line, all words in it, and not a byte on stdout."""
    assert outcome.code == code, outcome
    assert len(outcome.said) == 1, outcome.said
    assert outcome.said[0].startswith("edgecam: ")
    for word in words:
        assert word in outcome.said[0]
    assert outcome.out == ""


def assert_reported(outcome: Outcome, *words: str) -> list[dict[str, Any]]:
    """One line about a broken input, exit code 1, and a JSON document, whose results are returned."""
    assert outcome.code == 1, outcome
    assert len(outcome.said) == 1, outcome.said
    assert outcome.said[0].startswith("edgecam: ")
    for word in words:
        assert word in outcome.said[0]
    document = json.loads(outcome.out)
    assert list(document) == ["model", "runtime", "results"]
    results: list[dict[str, Any]] = document["results"]
    return results


class TestInputs:
    """Policy: all inputs are looked up before any work; one that proves broken later is left out, the rest is done."""

    def test_a_missing_video(self, edgecam: Edgecam, model: Path, picture: Path, out: Path) -> None:
        outcome = edgecam("detect", picture, "missing.mp4", "--model", model, "--out", out, "--json")
        assert_refused(outcome, 1, "missing.mp4: not found")
        assert not out.exists()

    def test_an_unreadable_video(self, edgecam: Edgecam, model: Path, tmp_path: Path, out: Path) -> None:
        video = tmp_path / "secret.mp4"
        video.touch(mode=0o000)
        assert_refused(edgecam("detect", video, "--model", model, "--out", out), 1, "secret.mp4", "ermission denied")
        assert not out.exists()

    def test_an_empty_folder(self, edgecam: Edgecam, model: Path, tmp_path: Path, out: Path) -> None:
        (tmp_path / "empty").mkdir()
        outcome = edgecam("detect", tmp_path / "empty", "--model", model, "--out", out)
        assert_refused(outcome, 1, "empty", "no pictures or videos")
        assert not out.exists()

    @pytest.mark.parametrize("name", ["text.mp4", "text.jpg"])
    def test_a_text_file_by_another_name(
        self, edgecam: Edgecam, model: Path, picture: Path, out: Path, tmp_path: Path, name: str
    ) -> None:
        text = tmp_path / name
        text.write_text("This is no picture, and no video either.\n" * 40)
        outcome = edgecam("detect", text, picture, "--model", model, "--out", out, "--json")
        assert [each["input"] for each in assert_reported(outcome, name)] == [str(picture)]
        assert [path.name for path in out.iterdir()] == ["good.jpg"]

    @pytest.mark.parametrize("name", ["nothing.mp4", "nothing.png"])
    def test_an_empty_file(self, edgecam: Edgecam, model: Path, out: Path, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        outcome = edgecam("detect", tmp_path / name, "--model", model, "--out", out, "--json")
        assert assert_reported(outcome, name) == []
        assert list(out.iterdir()) == []

    def test_a_picture_cut_short(self, edgecam: Edgecam, model: Path, picture: Path, out: Path) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
        cut = picture.with_name("cut.jpg")
        cut.write_bytes(cv2.imencode(".jpg", noise)[1].tobytes()[:1500])
        outcome = edgecam("detect", cut, "--model", model, "--out", out, "--json")
        assert assert_reported(outcome, "cut.jpg", "damaged") == []
        assert list(out.iterdir()) == []

    def test_a_video_cut_at_30_percent_plays_as_far_as_it_goes(
        self, edgecam: Edgecam, model: Path, assets: Path, tmp_path: Path, out: Path
    ) -> None:
        cut = cut_at_30_percent(assets / "videos" / "vtest.avi", tmp_path)
        outcome = edgecam("detect", cut, "--model", model, "--out", out, "--json")
        assert outcome.code == 0
        assert outcome.said == [f"edgecam: {cut}: cut short: 70 % of it is missing; playing what is there"]
        analysed = len(json.loads(outcome.out)["results"])
        assert analysed > 100
        assert [path.name for path in out.iterdir()] == ["cut.mp4"]
        assert frames_of(out / "cut.mp4") == analysed

    def test_a_video_cut_at_30_percent_without_its_index(
        self, edgecam: Edgecam, model: Path, tmp_path: Path, out: Path
    ) -> None:
        whole = tmp_path / "whole.mp4"
        write_video(whole, frames=60)
        cut = cut_at_30_percent(whole, tmp_path)
        outcome = edgecam("detect", cut, "--model", model, "--out", out, "--json")
        assert assert_reported(outcome, "cut.mp4", "index") == []
        assert list(out.iterdir()) == []


def write_video(path: Path, frames: int) -> None:
    """Noise in MPEG-4 at 25 frames a second; an MP4 has its index at the end."""
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def cut_at_30_percent(video: Path, folder: Path) -> Path:
    content = video.read_bytes()
    cut = folder / f"cut{video.suffix}"
    cut.write_bytes(content[: len(content) * 3 // 10])
    return cut


class TestModels:
    @pytest.mark.parametrize("part", range(20))
    def test_a_model_cut_short(self, edgecam: Edgecam, model: Path, picture: Path, out: Path, part: int) -> None:
        content = model.read_bytes()
        model.write_bytes(content[: len(content) * part // 20])
        outcome = edgecam("detect", picture, "--model", model, "--out", out, "--json")
        assert_refused(outcome, 1, "tiny.tflite")
        assert not out.exists()

    def test_a_real_model_cut_short(
        self, edgecam: Edgecam, picture: Path, assets: Path, tmp_path: Path, out: Path
    ) -> None:
        content = (assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite").read_bytes()
        cut = tmp_path / "cut.tflite"
        cut.write_bytes(content[: len(content) // 2])
        assert_refused(edgecam("detect", picture, "--model", cut, "--out", out), 1, "cut.tflite")
        assert not out.exists()

    def test_a_classification_model(self, edgecam: Edgecam, model: Path, picture: Path, out: Path) -> None:
        model.write_bytes(tiny_models.classifier())
        assert_refused(edgecam("detect", picture, "--model", model, "--out", out), 1, "tiny.tflite", "classifier")
        assert not out.exists()

    def test_a_model_for_the_edge_tpu(self, edgecam: Edgecam, picture: Path, assets: Path, out: Path) -> None:
        compiled = assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite"
        outcome = edgecam("detect", picture, "--model", compiled, "--out", out, "--device", "cpu")
        assert_refused(outcome, 1, "compiled for the Edge TPU", "use ")
        assert not out.exists()

    def test_a_device_that_is_none(self, edgecam: Edgecam, model: Path, picture: Path, out: Path) -> None:
        outcome = edgecam("detect", picture, "--model", model, "--out", out, "--device", "gpu")
        assert_refused(outcome, 1, "device 'gpu'", "edgecam tpu list")
        assert not out.exists()

    def test_an_edge_tpu_for_a_model_that_is_not_compiled(
        self, edgecam: Edgecam, model: Path, picture: Path, out: Path
    ) -> None:
        outcome = edgecam("detect", picture, "--model", model, "--out", out, "--device", "usb")
        assert_refused(outcome, 1, "would silently run on the CPU")
        assert not out.exists()

    def test_a_label_file_too_short(
        self, edgecam: Edgecam, model: Path, picture: Path, tmp_path: Path, out: Path
    ) -> None:
        labels = tmp_path / "short.txt"
        labels.write_text("cat\n")
        outcome = edgecam("detect", picture, "--model", model, "--labels", labels, "--out", out)
        assert_refused(outcome, 1, "short.txt", "1 labels", "2 classes")
        assert not out.exists()

    def test_no_such_model(self, edgecam: Edgecam, picture: Path) -> None:
        assert_refused(edgecam("detect", picture, "--model", "mobiledett"), 1, "mobiledett", "did you mean mobiledet")

    @pytest.mark.parametrize(
        "arguments", [("models", "info"), ("evaluate", "--images", ".", "--annotations", "a.json", "--model")]
    )
    def test_other_commands_refuse_it_as_well(self, edgecam: Edgecam, model: Path, arguments: tuple[str, ...]) -> None:
        model.write_bytes(b"not a model")
        assert_refused(edgecam(*arguments, model), 1, "tiny.tflite")


class TestOptions:
    @pytest.mark.parametrize("threshold", ["40", "-0.1", "nan", "1e400"])
    def test_a_threshold_that_is_no_score(self, edgecam: Edgecam, picture: Path, out: Path, threshold: str) -> None:
        outcome = edgecam("detect", picture, f"--threshold={threshold}", "--out", out)
        assert_refused(outcome, 2, "--threshold", "allowed is 0 to 1")
        assert not out.exists()

    def test_an_output_folder_that_may_not_be_written_to(
        self, edgecam: Edgecam, model: Path, picture: Path, tmp_path: Path
    ) -> None:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o555)
        for folder in (locked, locked / "below"):
            outcome = edgecam("detect", picture, "--model", model, "--out", folder)
            assert_refused(outcome, 1, str(folder), "may not be written to")
        assert list(locked.iterdir()) == []

    def test_an_output_folder_that_is_a_file(self, edgecam: Edgecam, model: Path, picture: Path) -> None:
        assert_refused(edgecam("detect", picture, "--model", model, "--out", model), 1, "is not a folder")

    def test_a_copy_that_would_overwrite_its_input(self, edgecam: Edgecam, model: Path, picture: Path) -> None:
        jpeg = picture.with_suffix(".jpg")
        before = picture.read_bytes()
        picture.rename(jpeg)
        assert_refused(edgecam("detect", jpeg, "--model", model, "--out", jpeg.parent), 1, "would overwrite")
        assert jpeg.read_bytes() == before


class TestConfig:
    def test_an_unknown_key(self, edgecam: Edgecam, tmp_path: Path) -> None:
        config = tmp_path / "edgecam.toml"
        config.write_text("[detector]\nmodle = 'auto'\n[cameras.a]\ntype = 'synthetic'\n")
        assert edgecam("config", "check", "-c", config) == Outcome(
            78, "", [f"edgecam: {config}:2: detector.modle: unknown key: did you mean model?"]
        )

    def test_two_complaints_at_once(self, edgecam: Edgecam, tmp_path: Path) -> None:
        config = tmp_path / "edgecam.toml"
        config.write_text(
            "[events]\nthreshold = 40\n[cameras.front]\ntype = 'video_file'\npath = 'a.mp4'\npace = 'warp'\n"
        )
        assert edgecam("config", "check", "-c", config) == Outcome(
            78,
            "",
            [
                f"edgecam: {config}:2: events.threshold: 40: allowed is a number from 0 to 1",
                f'edgecam: {config}:6: cameras.front.pace: "warp": allowed are "realtime", "fast"',
            ],
        )

    def test_a_missing_or_unreadable_file(self, edgecam: Edgecam, tmp_path: Path) -> None:
        secret = tmp_path / "secret.toml"
        secret.touch(mode=0o000)
        assert_refused(edgecam("config", "show", "-c", tmp_path / "gone.toml"), 78, "gone.toml: not found")
        assert_refused(edgecam("config", "show", "-c", secret), 78, "secret.toml: cannot be read: Permission denied")

    def test_no_camera_to_run(self, edgecam: Edgecam, tmp_path: Path) -> None:
        config = tmp_path / "edgecam.toml"
        config.touch()
        assert_refused(edgecam("config", "check", "-c", config), 78, "cameras: none is enabled")
