"""The time-lapse of a day: made of segments, of clips where there are none, and of what can be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from clip_recording import START, Film, number_in, recording
from clip_shelf import Shelf
from clip_stories import shown, times
from command_line import Edgecam, command_line

from edgecam.clip_store import ClipKind, ClipStore
from edgecam.recording.checking import check
from edgecam.recording.encoder import EncoderOptions
from edgecam.recording.timelapse import FPS, Piece, make_timelapse
from edgecam.types import EventType

pytestmark = pytest.mark.any_runtime


@pytest.fixture
def clips(capfd: pytest.CaptureFixture[str]) -> Edgecam:
    return command_line(capfd, "clips")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """40 seconds in segments of 10, an event among them, at 10 frames a second; and which day it was."""
    data = tmp_path_factory.mktemp("data")
    film = Film(fps=10.0)
    with recording(data, film, segment_length=10.0, encoder=EncoderOptions(quality=12)) as recorder:
        recorder.run(20)
        recorder.tell(EventType.NEW)
        recorder.run(5)
        recorder.tell(EventType.END)
        recorder.run(15)
    start = recorder.clock.wall(START)
    return data, f"{start.astimezone():%Y-%m-%d}"


def test_a_day_of_segments(day: tuple[Path, str], clips: Edgecam, tmp_path: Path) -> None:
    data, date = day
    out = tmp_path / "day.mp4"
    asked = ("timelapse", "--camera", "front", "--day", date, "--out", out, "--journal", data / "edgecam.db")
    document = clips(*asked, "--speed", "50", "--json").document
    assert document == {
        "out": str(out), "kind": "continuous", "clips": 4, "frames": 20, "seconds": 0.8, "unread": [],
    }  # fmt: skip
    assert check(out).ok
    pictures = shown(out)
    assert np.allclose(times(pictures), np.arange(20) / FPS, atol=1e-4)
    seen = [number_in(picture) / 10 for picture in pictures]
    assert all(0 <= 2 * place - moment <= 1 for place, moment in enumerate(seen)), "the key frame at or before"
    assert clips(*asked).err == f"edgecam: {out}: 0.2 s, made of 4 segments\n"
    assert [path.name for path in tmp_path.iterdir()] == ["day.mp4"]


def test_where_there_are_no_segments_clips_do(day: tuple[Path, str], clips: Edgecam, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "data")
    with ClipStore(shelf.journal) as store:
        for number, clip_id in enumerate("abc"):
            shelf.store(store, clip_id, 600.0 * number, frames=90)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC).astimezone()
    asked = ("timelapse", "--camera", "front", "--out", tmp_path / "a.mp4", "--journal", shelf.journal, "--json")
    document = clips(*asked, "--day", f"{noon:%Y-%m-%d}", "--speed", "25").document
    assert (document["kind"], document["clips"], document["frames"]) == ("event", 3, 9)
    nothing = clips(*asked, "--day", "2020-01-01")
    assert (nothing.code, nothing.err.count("\n")) == (1, 1)
    assert "nothing was recorded on 2020-01-01" in nothing.err


def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    rows = [shelf.write(name, at, frames=90) for name, at in (("a", 0.0), ("b", 60.0), ("c", 120.0))]
    (tmp_path / rows[1].path).write_bytes(b"no video")
    (tmp_path / rows[2].path).unlink()
    pieces = [Piece(tmp_path / row.path, row.start) for row in rows]
    span = rows[0].start, rows[0].start + 86_400
    lapse = make_timelapse(pieces, tmp_path / "out.mp4", speed=25, span=span)
    assert (lapse.pieces, lapse.info.frames, len(lapse.unread)) == (1, 3, 2)
    with pytest.raises(ValueError, match="cannot be read"):
        make_timelapse(pieces[1:], tmp_path / "none.mp4", speed=25, span=span)
    assert not list(tmp_path.glob("none*"))


def test_only_the_day_is_in_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    row = shelf.write("a", frames=90)
    piece = Piece(tmp_path / row.path, row.start)
    lapse = make_timelapse([piece], tmp_path / "out.mp4", speed=25, span=(row.start + 1, row.start + 2))
    assert lapse.info.frames == 1


def test_a_segment_that_grows_is_not_in_it_yet(clips: Edgecam, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "data")
    with ClipStore(shelf.journal) as store:
        row = shelf.store(store, "a", frames=90)
        store.begun(replace(row, clip_id="grows", end=None, kind=ClipKind.CONTINUOUS))
    day = f"{datetime.fromtimestamp(row.start, UTC).astimezone():%Y-%m-%d}"
    asked = ("--camera", "front", "--day", day, "--out", tmp_path / "a.mp4", "--journal", shelf.journal, "--json")
    assert clips("timelapse", *asked).document["kind"] == "event"


@pytest.mark.parametrize(("changed", "said"), [(("--speed", "1"), "allowed is 2 to"), (("--out", "a.avi"), "MP4")])
def test_bad_input_is_one_line(clips: Edgecam, changed: tuple[str, str], said: str) -> None:
    outcome = clips("timelapse", "--camera", "front", "--day", "2026-03-01", "--out", "a.mp4", *changed)
    assert outcome.code in (1, 2)
    assert said in outcome.err
