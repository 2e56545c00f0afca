"""The API says what was recorded and how things are, in Frigate's words, and changes only what it was asked to."""

from __future__ import annotations

import asyncio
import base64
import json
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")
pytest.importorskip("httpx", reason="no HTTP client for tests: install edgecam[test]")

from fastapi import FastAPI
from fastapi.routing import APIRoute
from web_premises import CONFIG, Client, Home, seconds_after_noon

from edgecam import __version__
from edgecam.clip_store import ClipStore
from edgecam.config.schema import API_WORDS
from edgecam.event_search import EventSearch
from edgecam.journal import Journal
from edgecam.web.api import changes as stream
from edgecam.web.api import router
from edgecam.web.api.archive import Archive
from edgecam.web.api.events import EventDetails
from edgecam.web.api.frigate import EventAnswer
from edgecam.web.api.history import COARSE_OF, FINE_SAMPLES, NOTED, History
from edgecam.web.api.vitals import Vitals
from edgecam.web.api.watch import EventWatch

pytestmark = pytest.mark.any_runtime


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def app_for(home: Home, **changes: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(router(home.premises(**changes)))
    return app


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(app_for(home)) as opened:
        yield opened


def ids(client: Client, **query: Any) -> list[str]:
    answer = client.get("/api/events", params=query)
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in answer.json()]


# Events


def test_before_anything_was_recorded_there_are_no_events(client: Client, home: Home) -> None:
    assert ids(client) == []
    assert client.get("/api/days").json() == []
    assert client.get("/api/events/1.0-abc").status_code == 404
    assert not home.data.exists(), "a reader makes no journal"


def test_an_event_is_told_with_frigates_keys(client: Client, home: Home) -> None:
    home.record("1.0-abc", picture=True, entered_zones=["drive"])
    home.film("clip", "1.0-abc")
    (event,) = client.get("/api/events").json()
    EventAnswer.model_validate(event)
    start = seconds_after_noon(0)
    assert event | {"data": {}} == {
        "id": "1.0-abc",
        "camera": "front",
        "label": "person",
        "sub_label": None,
        "zones": ["drive"],
        "start_time": start,
        "end_time": start + 5,
        "false_positive": False,
        "has_clip": True,
        "has_snapshot": True,
        "retain_indefinitely": False,
        "top_score": 0.875,
        "thumbnail": None,
        "plus_id": None,
        "data": {},
        "track_id": 3,
        "frame_size": [0, 0],
        "best_time": start + 5,
        "stationary": False,
        "crossings": [],
        "clock_synced": True,
        "clip_grows": False,
        "cut": None,
    }
    assert event["data"]["box"] == [0.3, 0.2, 0.2, 0.5], "left, top, width, height"
    assert event["data"]["top_score"] == 0.875


def test_events_are_found_by_frigates_queries(client: Client, home: Home) -> None:
    home.record("a", 0, label="person", picture=True, entered_zones=["drive"])
    home.record("b", 60, label="car", camera="back", entered_zones=["drive", "gate"])
    home.record("c", 120, label="dog", end_time=None, type="new", top_score=0.6)
    home.film("clip", "b")
    assert ids(client) == ["c", "b", "a"]
    assert ids(client, limit=2) == ["c", "b"]
    assert ids(client, cameras="front", include_thumbnails=0) == ["c", "a"]
    assert ids(client, camera="back") == ["b"]
    assert ids(client, cameras="all", labels="all", zones="all") == ["c", "b", "a"]
    assert ids(client, labels="car,dog") == ["c", "b"]
    assert ids(client, zones="gate") == ["b"]
    assert ids(client, zones="gat") == []
    assert ids(client, zones="gate,drive", labels="person") == ["a"]
    assert ids(client, after=seconds_after_noon(0), before=seconds_after_noon(120)) == ["b"]
    assert ids(client, has_clip=1) == ["b"]
    assert ids(client, has_clip=0) == ["c", "a"]
    assert ids(client, has_snapshot=1) == ["a"]
    assert ids(client, in_progress=1) == ["c"]
    assert ids(client, min_score=0.7) == ["b", "a"]
    assert ids(client, favorites=1) == []
    assert ids(client, labels="' OR 1=1 --") == []
    assert ids(client, sub_labels="all", timezone="utc") == ["c", "b", "a"], "what is not known is passed over"


def test_no_camera_can_have_the_name_of_a_path(home: Home) -> None:
    paths = [route.path for route in router(home.premises()).routes if isinstance(route, APIRoute)]
    words = {path.split("/")[2] for path in paths if path.startswith("/api/")}
    assert {word for word in words if "{" not in word} == API_WORDS


def test_a_long_answer_is_packed_for_who_can_unpack_it(client: Client, home: Home) -> None:
    for number in range(20):
        home.record(f"event{number}", 60.0 * number)
    packed = client.get("/api/events", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/api/events", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 10**30}, {"after": "nan"}, {"has_clip": "perhaps"}])
def test_queries_that_are_not_allowed_are_refused_in_plain_words(client: Client, query: dict[str, Any]) -> None:
    answer = client.get("/api/events", params=query)
    assert answer.status_code == 422
    assert answer.json()["success"] is False
    assert answer.json()["message"].startswith(f"{next(iter(query))}: ")


def test_thumbnails_come_along_where_they_are_asked_for(client: Client, home: Home) -> None:
    home.record("a", picture=True)
    home.record("b", 60)
    with_them = client.get("/api/events", params={"include_thumbnails": 1}).json()
    assert with_them[0]["thumbnail"] is None
    assert base64.b64decode(with_them[1]["thumbnail"]) == client.get("/api/events/a/thumbnail.jpg").content


def test_an_event_is_shown_with_its_clips(client: Client, home: Home) -> None:
    home.record("a")
    home.film("one", "a", boxes=True)
    home.film("two", "a", at=30)
    event = client.get("/api/events/a").json()
    EventDetails.model_validate(event)
    assert [(clip["n"], clip["id"], clip["has_boxes"]) for clip in event["clips"]] == [
        (0, "one", True),
        (1, "two", False),
    ]
    assert client.get("/api/events").json()[0] == {key: value for key, value in event.items() if key != "clips"}
    assert client.get("/api/events/").status_code in {404, 307}
    assert client.get("/api/events/none").json() == {
        "success": False,
        "message": "event none: there is none, or none any more",
        "complaints": [],
    }


def test_an_event_is_kept_and_let_go(client: Client, home: Home) -> None:
    home.record("a")
    home.record("b", 60)
    home.film("clip", "a")
    assert client.post("/api/events/a/retain").json() == {"success": True, "message": "event a retained"}
    assert ids(client, favorites=1) == ["a"]
    assert client.get("/api/events/a").json()["retain_indefinitely"] is True
    assert client.delete("/api/events/a/retain").status_code == 200
    assert ids(client, favorites=1) == []
    assert client.post("/api/events/b/retain").status_code == 409
    assert client.post("/api/events/none/retain").status_code == 404


def test_an_event_is_deleted_with_all_that_is_its_own(client: Client, home: Home) -> None:
    home.record("a", picture=True)
    home.record("b", 60)
    home.record("lasts", 90, end_time=None, type="new")
    own, shared = home.film("own", "a"), home.film("shared", "a", "b", at=30)
    assert client.delete("/api/events/a").json() == {"success": True, "message": "event a deleted"}
    assert ids(client) == ["lasts", "b"]
    assert not own.exists()
    assert shared.exists()
    assert not list(home.data.glob("snapshots/**/*.jpg"))
    assert client.delete("/api/events/a").status_code == 404
    refused = client.delete("/api/events/lasts")
    assert (refused.status_code, refused.json()["message"]) == (409, "event lasts: is not over: delete it when it is")


def test_days_have_their_numbers_and_their_bounds(client: Client, home: Home) -> None:
    day = 86400.0
    for number, at in enumerate((0, 3600, 2 * day)):
        home.record(f"e{number}", at, camera="back" if at else "front")
    days = client.get("/api/days").json()
    assert [each["events"] for each in days] == [2, 1]
    for each, at in zip(days, (0, 2 * day), strict=True):
        assert each["start"] <= seconds_after_noon(at) < each["end"]
    assert [each["events"] for each in client.get("/api/days", params={"camera": "front"}).json()] == [1]


# Files


def test_a_clip_is_sent_in_ranges(client: Client, home: Home) -> None:
    home.record("a")
    whole = home.film("clip", "a").read_bytes()
    answer = client.get("/api/events/a/clip.mp4")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "video/mp4", whole)
    assert answer.headers["accept-ranges"] == "bytes"
    part = client.get("/api/events/a/clip.mp4", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert client.get("/api/events/a/clip.mp4", headers={"Range": "bytes=-50"}).content == whole[-50:]
    assert client.get("/api/events/a/clip.mp4", headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    head = client.head("/api/events/a/clip.mp4")
    assert (head.headers["content-length"], head.content) == (str(len(whole)), b"")
    again = client.get("/api/events/a/clip.mp4", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/events/a/clip.mp4", params={"n": 1}).status_code == 404


def test_a_clip_that_grows_is_sent_as_far_as_it_came(client: Client, home: Home) -> None:
    home.record("a", end_time=None, type="new")
    path = home.film("clip", "a")
    part = path.rename(path.with_name(f"{path.name}.part"))
    answer = client.get("/api/events/a/clip.mp4")
    assert (answer.status_code, answer.content) == (200, part.read_bytes())
    part.unlink()
    assert client.get("/api/events/a/clip.mp4").status_code == 404


def test_the_boxes_of_a_clip_are_a_track(client: Client, home: Home) -> None:
    home.record("a")
    home.record("b", 60)
    home.film("with", "a", boxes=True)
    home.film("without", "b", at=60)
    found = client.get("/api/events/a/clip.vtt")
    assert found.headers["content-type"].startswith("text/vtt")
    assert found.text.startswith("WEBVTT")
    assert '"bbox":[0.3,0.2,0.5,0.7]' in found.text
    none = client.get("/api/events/b/clip.vtt")
    assert (none.status_code, none.text.strip()) == (200, "WEBVTT edgecam boxes")


def picture(content: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_a_snapshot_is_sent_whole_or_smaller(client: Client, home: Home) -> None:
    home.record("a", picture=True)
    assert picture(client.get("/api/events/a/snapshot.jpg").content).shape == (360, 640, 3)
    assert picture(client.get("/api/events/a/snapshot.jpg", params={"h": 90}).content).shape == (90, 160, 3)
    assert picture(client.get("/api/events/a/snapshot.jpg", params={"h": 4000}).content).shape == (360, 640, 3)


def test_a_thumbnail_shows_the_object(client: Client, home: Home) -> None:
    home.record("a", picture=True)
    home.record("edge", 60, picture=True, best={"frame": 30, "box": [0.9, 0.9, 1.0, 1.0]})
    small = picture(client.get("/api/events/a/thumbnail.jpg").content)
    assert small.shape == (175, 175, 3)
    red = (small[:, :, 2] > 128).mean()
    assert 0.25 < red < 0.6
    assert small[87, 87, 2] > 200, "the object is in the middle"
    assert picture(client.get("/api/events/edge/thumbnail.jpg").content).max() < 64


def test_only_pictures_of_the_data_folder_are_sent(client: Client, home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "snapshots" / "x" / "y" / "secret.jpg"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"secret")
    home.record("a", picture=True)
    for number, noted in enumerate((str(secret), "/etc/passwd", "../../../snapshots/../x/y/secret.jpg")):
        with Journal(home.data / "edgecam.db") as journal:
            journal.record(home_event(f"strange{number}"), Path(noted))
        assert client.get(f"/api/events/strange{number}/snapshot.jpg").status_code == 404


def home_event(event_id: str) -> dict[str, Any]:
    from clip_shelf import event_message

    return event_message(event_id)


def test_a_picture_that_is_broken_is_not_there(client: Client, home: Home) -> None:
    home.record("a", picture=True)
    next(home.data.glob("snapshots/**/*.jpg")).write_bytes(b"no picture")
    assert client.get("/api/events/a/thumbnail.jpg").status_code == 404
    assert client.get("/api/events/a/snapshot.jpg", params={"h": 90}).status_code == 404


def test_a_damaged_journal_is_said_to_be(client: Client, home: Home) -> None:
    home.data.mkdir()
    (home.data / "edgecam.db").write_bytes(b"nonsense" * 100)
    answer = client.get("/api/events")
    assert answer.status_code == 503
    assert "damaged" in answer.json()["message"]


# Status


def test_the_version_is_plain_text(client: Client) -> None:
    answer = client.get("/api/version")
    assert (answer.text, answer.headers["content-type"]) == (__version__, "text/plain; charset=utf-8")


def test_the_status_is_what_the_command_prints(client: Client, home: Home) -> None:
    home.troubles = ("the disk is full",)
    document = client.get("/api/status").json()
    assert set(document) == {"status", "stats", "storage", "board", "process"}
    assert document["status"]["reasons"] == ["front: the disk is full"]


def test_statistics_have_frigates_shape(client: Client) -> None:
    stats = client.get("/api/stats").json()
    assert stats["cameras"]["front"]["detection_enabled"] == 1
    assert stats["detectors"]["cpu"]["inference_speed"] == 12.0
    assert stats["service"]["version"] == __version__
    assert stats["edgecam"]["cameras"]["front"]["latencies"]["inference"]["p50"] == 0.012


def test_cameras_and_their_switches(client: Client, home: Home) -> None:
    (front,) = client.get("/api/cameras").json()
    assert front == {
        "name": "front",
        "width": 640,
        "height": 360,
        "labels": ["person", "car"],
        "zones": ["drive"],
        "lines": [],
        "switches": {"detect": True, "recordings": True, "snapshots": False},
    }
    assert client.put("/api/front/switches/detect", json={"on": False}).json() == {"name": "detect", "on": False}
    assert home.switches["detect"] is False
    assert client.get("/api/front/switches/detect").json() == {"name": "detect", "on": False}
    assert client.put("/api/front/switches/snapshots", json={"on": True}).status_code == 409
    assert client.put("/api/front/switches/motion", json={"on": True}).status_code == 422
    assert client.put("/api/front/switches/detect", json={"on": "off"}).status_code == 422
    assert client.put("/api/none/switches/detect", json={"on": True}).status_code == 404


# History


def sampled(home: Home, *, time: float = 0.0, **counters: int) -> dict[str, Any]:
    home.counters = counters
    document = Vitals(home.facts, home.premises().clock).document()
    document["stats"]["time"] = time
    return document


def test_history_is_taken_while_the_server_runs(home: Home) -> None:
    with Client(app_for(home), started=True) as client:
        while not (answer := client.get("/api/history").json())["times"]:
            pass
        assert answer["cameras"]["front"]["inference"] == [0.012]
        assert client.get("/api/history", params={"hours": 0}).status_code == 422


def test_history_keeps_an_hour_finely_and_more_coarsely(home: Home) -> None:
    history, document = History(), sampled(home)
    for number in range(FINE_SAMPLES + COARSE_OF):
        document["stats"]["time"] = number * 10.0
        document["stats"]["cameras"]["front"]["counters"]["frames_dropped"] = number
        document["stats"]["cameras"]["front"]["fps"]["captured"] = float(number % 2)
        history.take(document)
    fine, coarse = history.answer(1.0), history.answer(24.0)
    assert (fine.interval, len(fine.times), fine.times[-1]) == (10.0, FINE_SAMPLES, 3890.0)
    assert (coarse.interval, len(coarse.times)) == (300.0, (FINE_SAMPLES + COARSE_OF) // COARSE_OF)
    assert coarse.cameras["front"].captured[1] == 0.5
    assert coarse.cameras["front"].dropped[:2] == [COARSE_OF - 1, COARSE_OF], "losses are added up"
    assert len(history.answer(0.5).times) == FINE_SAMPLES // 2
    assert len(fine.temperature_celsius) == len(fine.cpu) == FINE_SAMPLES


def test_history_remembers_losses_and_recoveries(home: Home) -> None:
    history, document = History(), sampled(home)
    for time, reasons in enumerate(
        ([], ["front: the disk has not answered for 6 s"], ["front: the disk has not answered for 8 s"], [])
    ):
        document["stats"]["time"] = float(time)
        document["status"]["reasons"] = reasons
        history.take(document)
    told = [(each.time, each.reason, each.over) for each in history.answer(1.0).log]
    reason = "front: the disk has not answered for 6 s"
    assert told == [(1.0, reason, False), (3.0, reason, True)]
    for number in range(NOTED):
        document["status"]["reasons"] = [f"front: {'x' * number}"]
        history.take(document)
    assert len(history.answer(1.0).log) == NOTED


# Changes


def kinds(watch: EventWatch) -> list[tuple[str, str]]:
    return [(str(kind), found.event_id) for kind, found in watch.look()]


def test_what_becomes_of_events_is_seen_once(home: Home) -> None:
    home.record("old")
    home.record("lasts", 30, end_time=None, type="new")
    watch = EventWatch(Archive(home.data))
    assert kinds(watch) == [], "what there was is not news"
    home.record("a", 60, end_time=None, type="new")
    home.record("short", 61)
    assert kinds(watch) == [("new", "a"), ("new", "short"), ("end", "short")]
    assert kinds(watch) == []
    home.record("a", 60, end_time=None, type="update", score=0.9)
    home.record("lasts", 30)
    assert kinds(watch) == [("end", "lasts"), ("update", "a")]
    home.film("clip", "short")
    home.record("a", 60)
    assert kinds(watch) == [("end", "a"), ("update", "short")]
    watch.close()
    watch.close()


def test_events_are_seen_in_a_journal_that_was_not_there(home: Home) -> None:
    watch = EventWatch(Archive(home.data))
    assert kinds(watch) == []
    home.record("a")
    assert kinds(watch) == [("new", "a"), ("end", "a")]
    watch.close()


def test_a_journal_that_cannot_be_read_is_tried_again(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.record("a")
    watch = EventWatch(Archive(home.data))
    assert kinds(watch) == []
    watch.close()
    journal = home.data / "edgecam.db"
    whole = journal.read_bytes()
    journal.write_bytes(b"nonsense" * 1000)
    assert kinds(watch) == kinds(watch) == []
    assert len(caplog.records) == 1
    journal.write_bytes(whole)
    home.record("b", 60)
    assert kinds(watch) == [("new", "b"), ("end", "b")]
    watch.close()


class Listener:
    """Listens to the stream of changes as a browser does, without a network."""

    def __init__(self, app: FastAPI) -> None:
        self.status = 0
        self.text: asyncio.Queue[str] = asyncio.Queue()
        self._leave = asyncio.Event()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/api/changes", "raw_path": b"/api/changes", "query_string": b"", "root_path": "", "headers": [],
        }  # fmt: skip
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        if body := message.get("body", b""):
            await self.text.put(body.decode())

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event's name and document."""
        while True:
            text = await asyncio.wait_for(self.text.get(), 20)
            if text.startswith("event: "):
                name, data = text.strip().split("\n")
                return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def leave(self) -> None:
        self._leave.set()
        await asyncio.wait_for(self._task, 20)


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[Listener]:
    listener = Listener(app)
    yield listener
    await listener.leave()


def test_changes_are_streamed_to_whoever_listens(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(stream, "STATUS_EVERY", 0.01)
    app = app_for(home)

    async def listen() -> None:
        async with listening(app) as one:
            name, status = await one.next()
            assert (name, status["status"]) == ("status", "ok")
            home.record("a", end_time=None, type="new")
            name, told = await one.next()
            assert (name, told["type"], told["event"]["id"]) == ("event", "new", "a")
            EventAnswer.model_validate(told["event"])
            async with listening(app) as two:
                assert (await two.next())[0] == "status", "who comes later knows the status at once"
                home.record("a")
                assert [(await each.next())[1]["type"] for each in (one, two)] == ["end", "end"]
            home.switches.set("detect", False)
            name, status = await one.next()
            assert (name, status["cameras"]["front"]["switches"]["detect"]) == ("status", False)

    asyncio.run(listen())


def test_who_is_too_slow_is_sent_away_and_costs_nothing_more() -> None:
    async def follow() -> None:
        slow = stream.Follower()
        for _ in range(stream.BEHIND + 10):
            slow.put(b"x")
        assert slow.lost
        assert await slow.next() is None

    asyncio.run(follow())


def test_no_more_follow_than_are_allowed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FOLLOWERS", 1)
    app = app_for(home)

    async def follow() -> None:
        async with listening(app) as one:
            await one.next()
            async with listening(app) as two:
                text = await asyncio.wait_for(two.text.get(), 20)
                assert (two.status, json.loads(text)["success"]) == (503, False)

    asyncio.run(follow())


# Marks

ZONE = {"polygon": [[0.25, 0.5], [0.75, 0.5], [0.75, 1.0]]}
GATE = {"points": [[0.1, 0.9], [0.9, 0.9]], "directions": ["home", "away"]}


def marks_of(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/api/front/marks").json()
    return answer


def test_marks_are_those_of_the_file(client: Client, home: Home) -> None:
    marks = marks_of(client)
    assert marks["zones"]["drive"]["polygon"] == [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]
    assert set(marks) == {"privacy_masks", "masks", "zones", "lines", "required_zones"}
    home.path.write_text(CONFIG.replace("zones.drive", "zones.lawn"), encoding="utf-8")
    assert list(marks_of(client)["zones"]) == ["lawn"]
    home.path.write_text("broken", encoding="utf-8")
    assert list(marks_of(client)["zones"]) == ["drive"], "as of the start"


def test_marks_are_checked_and_given_as_toml(client: Client, home: Home) -> None:
    answer = client.post("/api/front/marks/check", json={"zones": {"lawn": ZONE}, "lines": {"gate": GATE}})
    assert answer.status_code == 200
    assert tomllib.loads(answer.json()["toml"]) == {
        "cameras": {"front": {"zones": {"lawn": ZONE}, "lines": {"gate": GATE}}}
    }
    assert home.path.read_text(encoding="utf-8") == CONFIG
    assert home.reloads == 0


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"zones": {"lawn": {"polygon": [[0, 0], [1, 1]]}}}, "zones.lawn.polygon: allowed are at least 3 points"),
        ({"zones": {"Big Lawn": ZONE}}, "zones.Big Lawn"),
        ({"zones": {"back": ZONE}}, "zones.back"),
        ({"required_zones": ["nowhere"]}, "required_zones: nowhere: this camera has no zones"),
        ({"masks": [[[0.0, 0.0]] * 101]}, "allowed are 100 points"),
        ({"detector": {}}, "detector: "),
        ({"zones": {"lawn": {"polygon": [[0.1, 0.1], [0.1, 0.10001], [0.10001, 0.1]]}}}, "zones.lawn.polygon"),
        ([], "valid dictionary"),
        ({"zones": {"\ud800": ZONE}}, "zones."),
    ],
)
def test_marks_that_are_not_allowed_are_refused(client: Client, home: Home, marks: Any, said: str) -> None:
    for answer in (
        client.post("/api/front/marks/check", content=json.dumps(marks), headers={"Content-Type": "application/json"}),
        client.put("/api/front/marks", content=json.dumps(marks), headers={"Content-Type": "application/json"}),
    ):
        assert answer.status_code == 422, answer.text
        assert said in answer.json()["message"]
        assert answer.json()["complaints"]
    assert home.path.read_text(encoding="utf-8") == CONFIG
    assert home.reloads == 0


def test_marks_are_saved_and_all_else_stays(client: Client, home: Home) -> None:
    home.later = ["cameras.front.privacy_masks"]
    home.path.chmod(0o640)
    marks = marks_of(client)
    marks["zones"]["lawn"] = ZONE
    marks["lines"]["gate"] = GATE
    marks["masks"] = [[[0.5, 0.0], [1.0, 0.0], [1.0, 0.25]]]
    marks["required_zones"] = ["lawn"]
    answer = client.put("/api/front/marks", json=marks)
    assert answer.status_code == 200, answer.text
    assert answer.json()["needs_restart"] == ["cameras.front.privacy_masks"]
    assert home.reloads == 1
    text = home.path.read_text(encoding="utf-8")
    for comment in (
        "# My cameras.",
        "# above the door",
        "# the neighbour",
        "# up to the gate",
        "# as it is anyway",
        "# not to be changed",
    ):
        assert comment in text
    front = tomllib.loads(text)["cameras"]["front"]
    assert front["zones"]["lawn"] == ZONE
    assert front["lines"]["gate"] == GATE
    assert front["required_zones"] == ["lawn"]
    assert tomllib.loads(text)["cameras"]["back"] == {"type": "synthetic", "enabled": False}
    saved = marks_of(client)
    assert saved["zones"]["drive"] == marks["zones"]["drive"]
    assert saved["masks"] == marks["masks"]
    assert home.path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in home.folder.iterdir() if path.is_file()] == ["edgecam.toml"]
    assert client.put("/api/front/marks", json=saved).status_code == 200
    assert home.path.read_text(encoding="utf-8") == text, "nothing new: nothing is touched"


def test_marks_are_changed_and_taken_away(client: Client, home: Home) -> None:
    marks = marks_of(client)
    marks["zones"]["drive"] |= {"polygon": ZONE["polygon"], "loitering_time": 2.5}
    marks["privacy_masks"] = []
    assert client.put("/api/front/marks", json=marks).status_code == 200
    text = home.path.read_text(encoding="utf-8")
    assert tomllib.loads(text)["cameras"]["front"] == {
        "type": "synthetic",
        "zones": {"drive": {**ZONE, "inertia": 3, "loitering_time": 2.5}},
    }
    assert "# up to the gate" in text
    assert client.put("/api/front/marks", json={}).status_code == 200
    assert tomllib.loads(home.path.read_text(encoding="utf-8"))["cameras"]["front"] == {"type": "synthetic"}
    assert home.reloads == 2


FORMS = {
    "dotted": 'cameras.front.type = "synthetic"\ncameras.front.zones.drive.polygon = [[0,0],[1,0],[1,1]]\n',
    "inline": '[cameras]\nfront = { type = "synthetic", zones = { drive = { polygon = [[0,0],[1,0],[1,1]] } } }\n',
    "torn": '[cameras.front]\ntype = "synthetic"\n[events]\nlabels = []\n[cameras.front.zones.drive]\n'
    "polygon = [[0,0],[1,0],[1,1]]\n[overlay]\nclock = false\n"
    "[cameras.front.zones.lawn]\npolygon = [[0,0],[1,0],[0,1]]\n",
    "bare": '[cameras.front]\ntype = "synthetic"',
    "windows": CONFIG.replace("\n", "\r\n"),
    "marked": "\ufeff" + CONFIG,
}


@pytest.mark.parametrize("form", FORMS)
def test_marks_are_saved_however_the_file_is_written(client: Client, home: Home, form: str) -> None:
    home.path.write_bytes(FORMS[form].encode())
    before = tomllib.loads(FORMS[form].removeprefix("\ufeff"))
    answer = client.put("/api/front/marks", json={"zones": {"terrace": ZONE}, "masks": [ZONE["polygon"]]})
    assert answer.status_code == 200, answer.text
    front = {"type": "synthetic", "zones": {"terrace": ZONE}, "masks": [ZONE["polygon"]]}
    after = tomllib.loads(home.path.read_bytes().decode("utf-8-sig"))
    assert after == {**before, "cameras": {**before["cameras"], "front": front}}


def test_a_file_that_would_come_out_wrong_is_left_alone(
    client: Client, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the library makes of it."""
    monkeypatch.setattr("edgecam.web.api.marks_file.tomlkit.dumps", lambda _: '[cameras.front]\ntype = "synthetic"\n')
    answer = client.put("/api/front/marks", json={"zones": {"terrace": ZONE}})
    assert answer.status_code == 409
    assert "paste" in answer.json()["message"]
    assert home.path.read_text(encoding="utf-8") == CONFIG


def test_a_file_with_faults_is_not_changed(client: Client, home: Home) -> None:
    faulty = CONFIG + "[overlay]\ncolour = 3\n"
    home.path.write_text(faulty, encoding="utf-8")
    answer = client.put("/api/front/marks", json={})
    assert answer.status_code == 409
    assert "overlay.colour" in answer.json()["message"]
    assert home.path.read_text(encoding="utf-8") == faulty


def test_a_file_that_cannot_be_written_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("edgecam.config.editing.os.fsync", refuse)
    with Client(app_for(home)) as client:
        answer = client.put("/api/front/marks", json={"zones": {"lawn": ZONE}})
    assert answer.status_code == 409
    assert "Permission denied: paste the text there" in answer.json()["message"]
    assert home.path.read_text(encoding="utf-8") == CONFIG
    assert [path.name for path in home.folder.iterdir()] == ["edgecam.toml"]


def test_without_a_file_marks_are_checked_and_not_saved(home: Home) -> None:
    with Client(app_for(home, config_path=None)) as client:
        assert client.post("/api/front/marks/check", json={"zones": {"lawn": ZONE}}).status_code == 200
        assert client.post("/api/front/marks/check", json={"zones": {"back": ZONE}}).status_code == 422
        assert client.put("/api/front/marks", json={}).status_code == 409


# The search


def test_a_page_of_events_is_read_along_the_index_of_time(home: Home) -> None:
    """Whatever else is asked for: a year of events is not sorted to find the newest."""
    home.record("a")
    from edgecam.event_search import Wanted, _conditions

    with EventSearch(home.data / "edgecam.db") as search:
        conditions, values = _conditions(Wanted(cameras=("front",), labels=("person",), has_clip=True))
        query = f"SELECT * FROM events WHERE {' AND '.join(conditions)} ORDER BY start_time DESC, events.rowid DESC"  # noqa: S608
        plan = " ".join(str(row[3]) for row in search._opened.execute(f"EXPLAIN QUERY PLAN {query}", values))
    assert "events_by_start" in plan
    assert "TEMP B-TREE" not in plan


def test_a_kept_clip_is_seen_by_its_store(client: Client, home: Home) -> None:
    home.record("a")
    home.film("clip", "a")
    client.post("/api/events/a/retain")
    with ClipStore(home.data / "edgecam.db", read_only=True) as store:
        assert [clip.kept for clip in store.of_event("a")] == [True]
