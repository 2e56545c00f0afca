"""The command line: commands on real files, exit codes, and what goes to which stream."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import tiny_models
from command_line import Edgecam, Outcome, command_line

from edgecam import __version__, cli, console
from edgecam.bundled import example_config
from edgecam.commands.copies import Copies
from edgecam.commands.inputs import Input, find_inputs
from edgecam.commands.moments import parse_moment
from edgecam.config import Config, load
from edgecam.errors import ConfigError, EdgecamError, InputError, SinkError
from edgecam.journal import Journal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def edgecam(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Edgecam:
    """Runs the command line in this process."""
    monkeypatch.delenv("EDGECAM_CONFIG", raising=False)
    return command_line(capsys)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


_STUCK = """
import atexit, os, threading
from edgecam import cli
from edgecam.worker import Worker

class Hangs(Worker):
    def step(self):
        threading.Event().wait(60)

def main():
    hangs = Hangs("hangs", lambda: None)
    hangs.start()
    print("said before")
    return 1

atexit.register(os.abort)  # as what C++ libraries do when they are torn down under a thread's feet
cli.main = main
cli.command()
"""


class TestFrame:
    """What holds for every command."""

    def test_version(self, edgecam: Edgecam) -> None:
        assert edgecam("--version") == Outcome(0, f"edgecam {__version__}\n", "")

    @pytest.mark.parametrize("arguments", [("--help",), ("detect", "-h"), ("events", "list", "--help")])
    def test_help(self, edgecam: Edgecam, arguments: tuple[str, ...]) -> None:
        outcome = edgecam(*arguments)
        assert outcome.code == 0
        assert "Usage: edgecam" in outcome.out

    def test_no_command_shows_the_help_and_is_no_success(self, edgecam: Edgecam) -> None:
        outcome = edgecam()
        assert outcome.code == 2
        assert "Commands" in outcome.out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("detct",), "No such command 'detct'. Did you mean 'detect'? (see 'edgecam --help')"),
            (("models",), "Missing command (see 'edgecam models --help')"),
            (("detect",), "Missing argument 'INPUT' (see 'edgecam detect --help')"),
            (("detect", "a.jpg", "--tresh", "1"), "No such option: --tresh"),
            (("detect", "a.jpg", "-t", "nan"), "nan: allowed is 0 to 1"),
        ],
    )
    def test_a_usage_error_is_one_line(self, edgecam: Edgecam, arguments: tuple[str, ...], said: str) -> None:
        outcome = edgecam(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("edgecam: ")
        assert outcome.err.count("\n") == 1
        assert said in outcome.err

    def test_nothing_heavy_is_imported_before_a_command_needs_it(self) -> None:
        heavy = {"av", "cv2", "numpy", "ai_edge_litert", "tflite_runtime", "rich.progress", "sqlite3"}
        done = python("-c", "import sys, edgecam.cli; print(*sys.modules)")
        assert done.returncode == 0, done.stderr
        assert heavy & set(done.stdout.split()) == set()

    def test_a_stuck_thread_does_not_change_how_it_ends(self) -> None:
        done = python("-c", _STUCK)
        assert (done.returncode, done.stdout) == (1, "said before\n"), done.stderr

    def test_without_one_python_ends_as_usual(self) -> None:
        done = python("-c", _STUCK.replace("hangs.start()", "pass"))
        assert done.returncode < 0, "the end that is skipped where threads are stuck aborts here"

    def test_a_bug_leaves_with_its_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_arguments: object, **_options: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr("edgecam.config.load", broken)
        with pytest.raises(ZeroDivisionError):
            cli.main(["config", "check"])

    def test_an_interrupt_ends_it_quietly(self, edgecam: Edgecam, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_arguments: object, **_options: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("edgecam.config.load", interrupted)
        assert edgecam("config", "check") == Outcome(130, "", "")

    @pytest.mark.parametrize("arguments", [("config", "schema"), ("--version",)], ids=["early", "at the end"])
    def test_a_reader_that_goes_away_is_no_traceback(self, arguments: tuple[str, ...]) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as nobody_reads:
            done = subprocess.run(
                [sys.executable, "-m", "edgecam", *arguments],
                env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
                stdout=nobody_reads,
                stderr=subprocess.PIPE,
                text=True,
                timeout=120,
                check=False,
            )
        assert (done.returncode, done.stderr) == (1, "")

    def test_a_full_disk_behind_stdout_is_said(self) -> None:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "edgecam", "config", "schema"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=120,
                check=False,
            )
        assert (done.returncode, done.stderr) == (1, "edgecam: standard output: No space left on device\n")

    def test_shells_complete(self) -> None:
        environment = os.environ | {
            "_EDGECAM_COMPLETE": "complete_bash",
            "COMP_WORDS": "edgecam con",
            "COMP_CWORD": "1",
        }
        done = python("-m", "edgecam", env=environment)
        assert done.stdout.split() == ["config"]


class TestConsole:
    """How things are said."""

    def test_a_message_is_one_line_whatever_it_holds(self, capsys: pytest.CaptureFixture[str]) -> None:
        console.say("über a\nb\x1b[31m.mp4")
        assert capsys.readouterr().err == "edgecam: über a\\nb\\x1b[31m.mp4\n"

    def test_every_line_of_an_error_is_marked(self, capsys: pytest.CaptureFixture[str]) -> None:
        console.complain(ConfigError("one\ntwo"))
        assert capsys.readouterr().err == "edgecam: one\nedgecam: two\n"

    def test_a_table_is_aligned(self, capsys: pytest.CaptureFixture[str]) -> None:
        console.emit_table(("name", "size"), [("a", 1), ("longer", "")])
        assert capsys.readouterr().out == "NAME    SIZE\na       1\nlonger\n"

    def test_json_has_no_numbers_that_json_lacks(self) -> None:
        with pytest.raises(ValueError, match="JSON"):
            console.emit_json({"a": float("nan")})

    def test_progress_is_silent_where_nobody_watches(self, capfd: pytest.CaptureFixture[str]) -> None:
        with console.progress("frames", 3) as tick:
            tick(1)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("total", ["3", "None"])
    def test_progress_on_a_terminal_leaves_stdout_alone(self, total: str) -> None:
        program = f"""
from edgecam import console
with console.progress("frames [x]", {total}) as tick:
    console.emit("result")
    tick(2)
"""
        try:
            leader, follower = pty.openpty()
        except OSError as error:
            pytest.skip(f"this machine gives no pseudo-terminal ({error})")
        try:
            done = subprocess.run(
                [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=follower, timeout=120, check=True
            )
            os.close(follower)
            drawn = os.read(leader, 1 << 16).decode()
        finally:
            os.close(leader)
        assert done.stdout == b"result\n"
        assert "frames [x]" in drawn
        assert "2/" in drawn


class TestConfigCommands:
    def test_check_sums_up(self, edgecam: Edgecam) -> None:
        outcome = edgecam("config", "check", "-c", example_config())
        assert outcome.code == 0
        assert outcome.out.startswith(f"{example_config()}: ok: cameras demo (synthetic); model auto")

    def test_the_environment_names_the_file(
        self, edgecam: Edgecam, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("EDGECAM_CONFIG", str(tmp_path / "mine.toml"))
        outcome = edgecam("config", "show")
        assert outcome.code == 78
        assert str(tmp_path / "mine.toml") in outcome.err

    def test_shown_toml_is_the_configuration_in_force(self, edgecam: Edgecam, tmp_path: Path) -> None:
        original = tmp_path / "a.toml"
        original.write_text('data_dir = "here"\n[cameras.x]\ntype = "synthetic"\nplace = "street"\n')
        shown = tmp_path / "elsewhere" / "b.toml"
        shown.parent.mkdir()
        shown.write_text(edgecam("config", "show", "-c", original).out)
        assert load(shown) == load(original)
        document = edgecam("config", "show", "-c", original, "--json").document
        assert document["cameras"]["x"].pop("duration") is document["cameras"]["x"].pop("light") is None
        assert document == tomllib.loads(shown.read_text())

    def test_the_schema_is_json_schema(self, edgecam: Edgecam) -> None:
        assert edgecam("config", "schema").document == Config.model_json_schema()


class TestModelCommands:
    def test_list(self, edgecam: Edgecam) -> None:
        listed = edgecam("models", "list")
        assert listed.out.startswith("NAME ")
        names = [model["name"] for model in edgecam("models", "list", "--json").document]
        assert [line.split()[0] for line in listed.out.splitlines()[1:]] == names

    def test_info(self, edgecam: Edgecam, assets: Path) -> None:
        model = assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
        described = edgecam("models", "info", model, "--json").document
        assert (described["input"], described["classes"]) == ([300, 300], 90)
        assert "[300, 300]" in edgecam("models", "info", model).out


class TestInputs:
    def test_kinds_and_order(self, tmp_path: Path) -> None:
        for name in ("b.PNG", "a.jpg", "c.mkv", "notes.txt"):
            (tmp_path / name).touch()
        (tmp_path / "oddly.named").touch()
        names = [str(tmp_path / "oddly.named"), str(tmp_path), "rtsp://camera.lan/1", str(tmp_path / "a.jpg")]
        found = find_inputs(names)
        assert [(Path(each.name).name, each.kind) for each in found] == [
            ("oddly.named", "video"),
            ("a.jpg", "picture"),
            ("b.PNG", "picture"),
            ("c.mkv", "video"),
            ("1", "video"),
        ]

    @pytest.mark.parametrize("name", ["missing.jpg", "empty", "dangling.jpg"])
    def test_what_is_not_there_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
        with pytest.raises(InputError, match=name):
            find_inputs([str(tmp_path / name)])


class TestCopies:
    PICTURE, VIDEO = Input("in/a.png", "picture"), Input("in/a.avi", "video")

    def test_each_has_a_name_of_its_own(self, tmp_path: Path) -> None:
        others = [Input("other/a.jpg", "picture"), Input("rtsp://camera.lan/", "video")]
        originals = [self.PICTURE, self.VIDEO, *others]
        copies = Copies(tmp_path / "new" / "folder", originals)
        copies.check()
        assert not (tmp_path / "new").exists()
        copies.create()
        for original in originals:
            with copies.writing(original) as path:
                path.write_bytes(b"done")
        names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
        assert names == ["a-2.jpg", "a.jpg", "a.mp4", "camera.mp4"]

    @pytest.mark.parametrize("error", [InputError("broken"), KeyboardInterrupt()])
    def test_nothing_half_written_stays(self, tmp_path: Path, error: BaseException) -> None:
        copies = Copies(tmp_path, [self.PICTURE])
        (tmp_path / "a.jpg").write_bytes(b"of yesterday")

        def fails() -> None:
            with copies.writing(self.PICTURE) as path:
                path.write_bytes(b"half")
                raise error

        with pytest.raises(type(error)):
            fails()
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.jpg", b"of yesterday")]

    def test_a_fault_of_the_disk_is_the_users_to_mend(self, tmp_path: Path) -> None:
        writing = Copies(tmp_path / "gone", [self.PICTURE]).writing(self.PICTURE)
        with pytest.raises(SinkError, match=r"a\.jpg: cannot be written: .*directory"), writing as path:
            path.write_bytes(b"")

    def test_an_input_is_never_overwritten(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="overwrite"):
            Copies(tmp_path, [Input(str(tmp_path / "a.jpg"), "picture")]).check()

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for folder in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(InputError, match="not a folder"):
                Copies(folder, []).check()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("1.5 d", NOW - timedelta(days=1.5)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-01", datetime(2026, 11, 1).astimezone()),
        ("2026-11-01T18:30", datetime(2026, 11, 1, 18, 30).astimezone()),
        ("2026-11-01T18:30+02:00", datetime(2026, 11, 1, 16, 30, tzinfo=UTC)),
    ],
)
def test_moments_as_people_type_them(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2x", "-1h", "2026-13-01", "9999999999w", ""])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed are 90s"):
        parse_moment(text, NOW)


def test_errors_of_ours_are_one_line_and_exit_1(edgecam: Edgecam, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_arguments: object, **_options: object) -> None:
        raise EdgecamError("the thing: broken: mend it")

    monkeypatch.setattr("edgecam.config.load", failing)
    assert edgecam("config", "check") == Outcome(1, "", "edgecam: the thing: broken: mend it\n")


def event(number: int, label: str = "person", camera: str = "front", *, open_end: bool = False) -> dict[str, Any]:
    """An event message as the journal takes it, `number` minutes after noon of 2026-11-21."""
    start = NOW.timestamp() + 60 * number
    return {
        "id": f"event-{number}",
        "type": "update" if open_end else "end",
        "camera": camera,
        "label": label,
        "score": 0.75,
        "top_score": 0.875,
        "track_id": number,
        "start_time": start,
        "frame_time": start + 12.5,
        "end_time": None if open_end else start + 12.5,
        "frame": 100,
        "box": [0.1, 0.2, 0.3, 0.4],
        "best": {"frame": 90, "box": [0.1, 0.2, 0.3, 0.4]},
    }


class TestEventCommands:
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Path:
        path = tmp_path / "data" / "edgecam.db"
        with Journal(path) as journal:
            for message in (event(0), event(1, "dog"), event(2, camera="back"), event(3, open_end=True)):
                journal.record(message)
        return path

    def test_list(self, edgecam: Edgecam, journal: Path) -> None:
        lines = edgecam("events", "list", "--journal", journal).out.splitlines()
        assert lines[0].split() == ["ID", "CAMERA", "LABEL", "SCORE", "START", "LASTED"]
        assert [line.split()[0] for line in lines[1:]] == ["event-0", "event-1", "event-2", "event-3"]
        local = NOW.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        assert lines[1].split(maxsplit=4) == ["event-0", "front", "person", "0.88", f"{local}  12.5 s"]
        assert lines[4].endswith("  open")

    @pytest.mark.parametrize(
        ("options", "numbers"),
        [
            (["--label", "dog"], [1]),
            (["--camera", "front"], [0, 1, 3]),
            (["--since", "2026-11-21T12:02Z"], [2, 3]),
            (["--until", "2026-11-21T12:02Z"], [0, 1]),
            (["--limit", "2"], [2, 3]),
            (["--label", "cat"], []),
        ],
    )
    def test_filters(self, edgecam: Edgecam, journal: Path, options: list[str], numbers: list[int]) -> None:
        found = edgecam("events", "list", "--json", "--journal", journal, *options).document
        assert [each["track_id"] for each in found] == numbers

    def test_the_configuration_says_where_the_journal_is(self, edgecam: Edgecam, journal: Path, tmp_path: Path) -> None:
        (tmp_path / "edgecam.toml").write_text('data_dir = "data"')
        assert len(edgecam("events", "list", "-c", tmp_path / "edgecam.toml", "--json").document) == 4

    def test_show(self, edgecam: Edgecam, journal: Path) -> None:
        shown = edgecam("events", "show", "event-1", "--journal", journal)
        assert "label       dog" in shown.out
        assert edgecam("events", "show", "event-1", "--journal", journal, "--json").document["label"] == "dog"

    def test_export_as_json_lines(self, edgecam: Edgecam, journal: Path) -> None:
        exported = edgecam("events", "export", "--journal", journal, "--camera", "front")
        assert [json.loads(line)["id"] for line in exported.out.splitlines()] == ["event-0", "event-1", "event-3"]

    def test_export_as_csv_to_a_file(self, edgecam: Edgecam, journal: Path, tmp_path: Path) -> None:
        table = tmp_path / "events.csv"
        assert edgecam("events", "export", "--journal", journal, "--format", "csv", "-o", table) == Outcome(0, "", "")
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["label"] for row in rows] == ["person", "dog", "person", "person"]
        assert json.loads(rows[0]["box"]) == [0.1, 0.2, 0.3, 0.4]
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["show", "event-9"], 1, "no event event-9 in the journal"),
            (["show", "event"], 1, "several ids begin so"),
            (["list", "--since", "yesterday"], 2, "yesterday: allowed are 90s"),
            (["export", "-o", "/nowhere/events.csv"], 1, "/nowhere/events.csv: cannot be written"),
        ],
    )
    def test_refusals(self, edgecam: Edgecam, journal: Path, arguments: list[str], code: int, said: str) -> None:
        outcome = edgecam("events", *arguments, "--journal", journal)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1)
        assert said in outcome.err

    def test_looking_makes_no_journal(self, edgecam: Edgecam, tmp_path: Path) -> None:
        outcome = edgecam("events", "list", "--journal", tmp_path / "none.db")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "no journal here" in outcome.err
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """Finds, in any grey picture, a dog at 0.75 and a cat and a dog at less; see `tiny_models.detector`."""
    path = tmp_path / "models" / "tiny.tflite"
    path.parent.mkdir()
    path.write_bytes(tiny_models.detector())
    path.with_suffix(".txt").write_text("cat\ndog\n")
    return path


def write_picture(path: Path, size: tuple[int, int] = (65, 49)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), 128, np.uint8))
    return path


def write_video(path: Path, frames: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


class TestDetect:
    def test_json_is_as_promised(self, edgecam: Edgecam, tiny_model: Path, tmp_path: Path) -> None:
        picture, video = write_picture(tmp_path / "in" / "a.png"), write_video(tmp_path / "in" / "b.mkv")
        outcome = edgecam("detect", tmp_path / "in", "--model", tiny_model, "-t", "0", "--json")
        assert (outcome.code, outcome.err) == (0, "")
        document = outcome.document
        assert list(document) == ["model", "runtime", "results"]
        assert document["model"] == "tiny"
        places = [(each["input"], each["frame"]) for each in document["results"]]
        assert places == [(str(picture), 0), *((str(video), number) for number in range(5))]
        for each in document["results"]:
            assert list(each) == ["input", "frame", "detections"]
            assert [list(found) for found in each["detections"]] == [["label", "score", "bbox"]] * 3
            scores = [found["score"] for found in each["detections"]]
            assert scores == sorted(scores, reverse=True) == [0.75, 0.5, 0.25]
            assert all(0 <= edge <= 1 for found in each["detections"] for edge in found["bbox"])
        assert document["results"][0]["detections"][0]["label"] == "cat"

    @pytest.mark.parametrize(("threshold", "count"), [("0.5", 2), ("0.51", 1), ("1", 0)])
    def test_the_threshold_is_the_least_score_that_counts(
        self, edgecam: Edgecam, tiny_model: Path, tmp_path: Path, threshold: str, count: int
    ) -> None:
        picture = write_picture(tmp_path / "a.png")
        outcome = edgecam("detect", picture, "--model", tiny_model, "--threshold", threshold, "--json")
        assert len(outcome.document["results"][0]["detections"]) == count

    def test_text_is_a_line_for_each_frame(self, edgecam: Edgecam, tiny_model: Path, tmp_path: Path) -> None:
        picture, video = write_picture(tmp_path / "a.png"), write_video(tmp_path / "b.mp4", frames=2)
        outcome = edgecam("detect", picture, video, "--model", tiny_model, "--labels", tiny_model.with_suffix(".txt"))
        found = "cat 0.75, dog 0.50"
        assert outcome.out.splitlines() == [
            f"{picture}: {found}",
            f"{video} frame 0: {found}",
            f"{video} frame 1: {found}",
        ]

    def test_copies_are_annotated(self, edgecam: Edgecam, tiny_model: Path, tmp_path: Path) -> None:
        picture, video = write_picture(tmp_path / "a.png", (641, 481)), write_video(tmp_path / "b.mp4")
        out = tmp_path / "new" / "out"
        outcome = edgecam("detect", picture, video, "--model", tiny_model, "--out", out)
        assert (outcome.code, outcome.err) == (0, "")
        assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "b.mp4"]
        copy = cv2.imread(str(out / "a.jpg"))
        assert copy is not None
        assert copy.shape == (480, 640, 3)
        assert int(copy.max()) - int(copy.min()) > 100
        with av.open(str(out / "b.mp4")) as container:
            drawn = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert len(drawn) == 5
        assert all(int(frame.max()) - int(frame.min()) > 50 for frame in drawn)

    def test_a_picture_too_small_to_draw_on(self, edgecam: Edgecam, tiny_model: Path, tmp_path: Path) -> None:
        dot = write_picture(tmp_path / "dot.png", (1, 1))
        assert edgecam("detect", dot, "--model", tiny_model).code == 0
        outcome = edgecam("detect", dot, "--model", tiny_model, "--out", tmp_path / "out")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert f"edgecam: {dot}: a picture of 1x1 pixels cannot be drawn on" in outcome.err

    def test_the_right_animal_first_on_eight_photographs(self, edgecam: Edgecam, assets: Path) -> None:
        pictures = sorted((assets / "images" / "pets").glob("image*.jpg"))
        model = assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite"
        results = edgecam("detect", *pictures, "--model", model, "--json").document["results"]
        first = [each["detections"][0]["label"] for each in results]
        assert first == ["dog", "cat", "cat", "dog", "dog", "cat", "dog", "cat"]


class TestEvaluate:
    FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "images")

    @pytest.fixture
    def annotations(self, tmp_path: Path) -> Path:
        """One picture in which the best detection of the tiny model is the only object."""
        write_picture(tmp_path / "pictures" / "a.png", (100, 100))
        path = tmp_path / "coco.json"
        box = [45, 45, 10, 10]
        truth = {
            "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": box, "area": 100, "iscrowd": 0}],
            "categories": [{"id": 7, "name": "cat"}],
        }
        path.write_text(json.dumps(truth))
        return path

    def test_figures(self, edgecam: Edgecam, tiny_model: Path, annotations: Path, tmp_path: Path) -> None:
        arguments = ("--model", tiny_model, "--images", tmp_path / "pictures", "--annotations", annotations)
        figures = edgecam("evaluate", *arguments, "--json").document
        assert tuple(figures) == self.FIGURES
        assert (figures["AP50"], figures["images"]) == (pytest.approx(1), 1)
        table = edgecam("evaluate", *arguments).out.splitlines()
        assert [line.split()[0] for line in table] == ["FIGURE", *self.FIGURES]
        assert table[2].split() == ["AP50", "1.000"]
        assert table[4].split() == ["AP_small", "1.000"]
