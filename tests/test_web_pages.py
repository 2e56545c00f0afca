"""The pages in a real browser: what an owner sees and does there is so."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")

from browser import browser, opened, require_browser, violations
from web_house import PASSWORD, House, running
from web_street import FPS, Street, film

from edgecam.config import load

pytestmark = pytest.mark.any_runtime

PAGES = ("./", "review", "zones", "condition")
FIRST_LOAD_BYTES = 150_000
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not os.environ.get("EDGECAM_LABS"):
        pytest.skip("takes minutes: set EDGECAM_LABS=1")
    require_browser()
    with browser() as started:
        yield started


@pytest.fixture
def street(tmp_path: Path) -> Street:
    (tmp_path / "data").mkdir()
    return Street(tmp_path)


@pytest.fixture
def house(street: Street, chromium: Any) -> Iterator[House]:
    with street.filming(), running(street.premises()) as house:
        yield house


def address(house: House) -> str:
    return f"http://127.0.0.1:{house.port}/"


def moment(seconds_ago: float) -> float:
    """A time of today, whenever the test runs."""
    now = time.time()
    midnight = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    return max(midnight + 1, now - seconds_ago)


# Log-in


def test_who_is_not_logged_in_logs_in_and_comes_back_to_the_page(tmp_path: Path, chromium: Any) -> None:
    (tmp_path / "data").mkdir()
    street = Street(tmp_path, password=True)
    with running(street.premises()) as house, opened(chromium, address(house)) as (page, _):
        page.goto("review?label=dog")
        page.wait_for_url("**/login?next=**")
        page.fill("#password", "wrong")
        page.click("#login button")
        page.wait_for_selector("#refused:has-text('Wrong password')")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/review*")
        page.click("#logout")
        page.wait_for_url("**/login")
        page.goto("condition")
        page.wait_for_url("**/login?next=**")


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"])
def test_the_log_in_leads_nowhere_else(tmp_path: Path, chromium: Any, wanted: str) -> None:
    (tmp_path / "data").mkdir()
    street = Street(tmp_path, password=True)
    with running(street.premises()) as house, opened(chromium, address(house)) as (page, _):
        page.goto(f"login?next={wanted}")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("#cameras")
        assert page.url == address(house)


# Live


def test_the_live_picture_goes_on_with_boxes_and_without(house: House, chromium: Any) -> None:
    with opened(chromium, address(house)) as (page, seen):
        page.goto("./")
        page.wait_for_selector(".stage[data-state=live][data-way=video]")
        advanced = "since => document.querySelector('video').currentTime > since + 1"
        page.wait_for_function(advanced, arg=page.evaluate("document.querySelector('video').currentTime"))
        assert page.evaluate(COLOURED, "video") > 20, "boxes are drawn in sky blue, amber or green"
        page.uncheck("#boxes")
        page.wait_for_selector(".stage[data-state=live][data-way=pictures]")
        page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 0")
        assert page.evaluate(COLOURED, "img") == 0
    assert not seen.complaints


COLOURED = """selector => {
  const shown = document.querySelector(`.stage ${selector}`), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const pen = canvas.getContext("2d");
  pen.drawImage(shown, 0, 0, 640, 360);
  const data = pen.getImageData(0, 0, 640, 360).data, wanted = [[88, 212, 255], [255, 164, 0], [38, 236, 156]];
  let found = 0;
  for (let at = 0; at < data.length; at += 4)
    found += wanted.some((one) => one.every((value, channel) => Math.abs(value - data[at + channel]) < 24));
  return found;
}"""
"""How many pixels of a picture have the colour of a box."""


def test_a_picture_that_stops_is_said_to_be_lost_and_comes_back(house: House, street: Street, chromium: Any) -> None:
    with opened(chromium, address(house)) as (page, _):
        page.goto("./")
        page.wait_for_selector("[aria-label=front] .stage[data-state=live]")
        street.cameras[0].frozen.set()
        page.wait_for_selector("[aria-label=front] .stage[data-state=lost]")
        street.cameras[0].frozen.clear()
        page.wait_for_selector("[aria-label=front] .stage[data-state=live]")


def test_a_switch_on_the_page_switches(house: House, street: Street, chromium: Any) -> None:
    with opened(chromium, address(house)) as (page, seen):
        page.goto("./")
        page.click("[aria-label=garden] summary")
        page.get_by_role("article", name="garden").get_by_role("switch", name="Record").uncheck()
        page.wait_for_function(
            "() => fetch('api/garden/switches/recordings').then(a => a.json()).then(a => a.on === false)"
        )
        assert not street.cameras[1].switches["recordings"]
        assert street.cameras[0].switches["recordings"]
    assert not seen.complaints


# Review


def test_an_event_appears_in_an_open_page_and_its_clip_has_the_box_on_the_object(
    house: House, street: Street, chromium: Any
) -> None:
    start = moment(8)
    with opened(chromium, address(house), viewport={"width": 1280, "height": 900}) as (page, seen):
        page.goto("review")
        page.wait_for_selector(".none")
        page.evaluate("window.same = true")
        street.film_of("1.0-a", start)
        street.happened("1.0-a", start, entered_zones=["drive"])
        page.wait_for_selector(".event", timeout=2000)
        page.click(".event a")
        page.wait_for_selector("#clip-boxes[data-boxes]:not([data-boxes='0'])")
        assert page.evaluate("window.same"), "without a reload"
        page.evaluate("document.getElementById('clip').pause()")
        for number in (12, 30):
            tracks = film("street")[number][1]
            drawn = page.evaluate(BOXES_AT, (number + 0.5) / FPS)
            assert drawn["count"] == len(tracks)
            for track in tracks:
                assert page.evaluate(LINE_NEAR, [*track.bbox]), f"picture {number}: no box on the {track.label}"
        page.click("#clip-boxes-switch")
        page.wait_for_selector("#clip-boxes[data-boxes='0']")
    assert not seen.complaints


BOXES_AT = """time => new Promise((done) => {
  const clip = document.getElementById("clip"), canvas = document.getElementById("clip-boxes");
  clip.requestVideoFrameCallback(() => requestAnimationFrame(() => done({count: Number(canvas.dataset.boxes)})));
  clip.currentTime = time;
})"""
LINE_NEAR = """([left, top, right, bottom]) => {
  const canvas = document.getElementById("clip-boxes"), clip = document.getElementById("clip");
  const scale = Math.min(canvas.width / clip.videoWidth, canvas.height / clip.videoHeight);
  const [width, height] = [clip.videoWidth * scale, clip.videoHeight * scale];
  const x = (canvas.width - width) / 2 + left * width, y = (canvas.height - height) / 2 + (top + bottom) / 2 * height;
  const copy = Object.assign(document.createElement("canvas"), {width: 5, height: 1}).getContext("2d");
  copy.drawImage(canvas, 2 - Math.round(x), -Math.round(y));
  const data = copy.getImageData(0, 0, 5, 1).data;
  return data.some((value, at) => at % 4 === 3 && value > 200);
}"""
"""Whether the left edge of a box is drawn where it belongs."""


def test_filters_show_what_matches_and_stay_in_the_address(house: House, street: Street, chromium: Any) -> None:
    street.happened("1.0-a", moment(300), label="person", entered_zones=["drive"])
    street.happened("1.0-b", moment(200), label="car")
    street.happened("1.0-c", moment(100), label="person", camera="garden")
    with opened(chromium, address(house)) as (page, seen):
        page.goto("review")
        page.wait_for_selector(".event >> nth=2")
        for name, value, left in (
            ("label", "person", 2),
            ("camera", "front", 1),
            ("label", "", 2),
            ("zone", "drive", 1),
        ):
            page.select_option(f"[name={name}]", value)
            page.wait_for_function(f"() => document.querySelectorAll('.event').length === {left}")
        page.reload()
        page.wait_for_selector(".event")
        assert page.locator(".event").count() == 1
        page.click("text=Clear")
        page.wait_for_function("() => document.querySelectorAll('.event').length === 3")
        page.check("[name=kept]")
        page.wait_for_selector("text=Nothing matches.")
    assert not seen.complaints


def test_an_event_is_kept_and_deleted_by_keyboard_alone(house: House, street: Street, chromium: Any) -> None:
    for event_id, ago in (("1.0-a", 300), ("1.0-b", 200)):
        street.happened(event_id, moment(ago))
        street.film_of(event_id, moment(ago))
    with opened(chromium, address(house)) as (page, seen):
        page.goto("review")
        page.focus(".event >> nth=0 >> a")
        page.keyboard.press("Enter")
        page.wait_for_selector("#viewer[open]")
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**event=1.0-a*")
        page.focus("#keep:not(:disabled)")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-id='1.0-a'].is-kept", state="attached")
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**event=1.0-b*")
        page.focus("#delete:not(:disabled)")
        page.keyboard.press("Enter")
        page.wait_for_selector("#delete.sure")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-id='1.0-b']", state="detached")
        page.keyboard.press("Escape")
        page.wait_for_selector("#viewer[open]", state="detached")
        events = page.evaluate("fetch('api/events').then(a => a.json())")
    assert [(event["id"], event["retain_indefinitely"]) for event in events] == [("1.0-a", True)]
    assert not seen.complaints


# Zones


def test_a_zone_is_drawn_checked_and_taken_over(house: House, street: Street, chromium: Any) -> None:
    with opened(chromium, address(house), viewport={"width": 1280, "height": 900}) as (page, seen):
        page.goto("zones?camera=garden")
        page.wait_for_selector("text=None so far")
        page.click("[data-draw=zone]")
        picture = page.locator("#picture").bounding_box()
        for right, down in ((0.2, 0.3), (0.6, 0.3), (0.6, 0.8), (0.2, 0.8), (0.2, 0.3)):
            page.mouse.click(picture["x"] + right * picture["width"], picture["y"] + down * picture["height"])
        page.fill("#details input >> nth=0", "lawn")
        page.fill("#details input >> nth=1", "dog, cat")
        page.keyboard.press("Tab")
        page.click("#check")
        page.wait_for_selector("#toml-text:has-text('[cameras.garden.zones.lawn]')")
        page.click("#save")
        page.wait_for_selector("text=Saved, and in force.")
    written = tomllib.loads(street.path.read_text())["cameras"]
    assert written["garden"]["zones"]["lawn"]["labels"] == ["dog", "cat"]
    corners = [coordinate for corner in written["garden"]["zones"]["lawn"]["polygon"] for coordinate in corner]
    assert corners == pytest.approx([0.2, 0.3, 0.6, 0.3, 0.6, 0.8, 0.2, 0.8], abs=0.005)
    assert list(written["front"]["zones"]) == ["drive"]
    assert street.reloads == 1
    assert not seen.complaints


def test_a_line_is_drawn_and_moved_by_keyboard_alone(house: House, street: Street, chromium: Any) -> None:
    with opened(chromium, address(house)) as (page, seen):
        page.goto("zones?camera=garden")
        page.wait_for_selector("text=None so far")
        page.focus("[data-draw=line]")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.focus("[data-corner='0']")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Shift+ArrowLeft")
        page.focus("#save")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Saved, and in force.")
    line = tomllib.loads(street.path.read_text())["cameras"]["garden"]["lines"]["line_1"]
    assert line["points"] == [[0.25, 0.59], [0.7, 0.6]]
    assert not seen.complaints


def test_what_is_wrong_with_a_mark_is_said_and_nothing_is_written(house: House, street: Street, chromium: Any) -> None:
    before = street.path.read_bytes()
    with opened(chromium, address(house)) as (page, _):
        page.goto("zones?camera=front")
        page.click("#list button:has-text('drive')")
        page.fill("#details input >> nth=0", "Not A Name!")
        page.keyboard.press("Tab")
        page.click("#save")
        page.wait_for_selector("#complaints li")
    assert street.path.read_bytes() == before


# Condition


def test_what_is_wrong_is_said_on_every_page_and_explained_on_one(house: House, street: Street, chromium: Any) -> None:
    with opened(chromium, address(house)) as (page, seen):
        page.goto("condition")
        page.wait_for_selector("#overall:has-text('All is well')")
        page.wait_for_selector("#camera-front .plot")
        street.troubles = ("the lens is dirty",)
        page.wait_for_selector("#overall li:has-text('front: the lens is dirty')")
        page.goto("zones")
        page.wait_for_selector("#state.is-degraded:has-text('2 troubles')")
    assert not seen.complaints


# All pages


@pytest.mark.parametrize("page_name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_for_everybody(house: House, street: Street, chromium: Any, page_name: str, scheme: str) -> None:
    street.happened("1.0-a", moment(100))
    with opened(chromium, address(house), color_scheme=scheme) as (page, _):
        page.goto(page_name)
        page.wait_for_selector("#state:not([hidden])")
        page.wait_for_timeout(500)
        assert not violations(page)
        if page_name == "review":
            page.click(".event a")
            page.wait_for_selector("#viewer-facts dd")
            assert not violations(page)
        if page_name == "zones":
            page.click("#list button")
            assert not violations(page)


@pytest.mark.parametrize("page_name", PAGES)
def test_pages_fit_a_phone_and_are_small(house: House, street: Street, chromium: Any, page_name: str) -> None:
    street.happened("1.0-a", moment(100))
    with opened(chromium, address(house), **PHONE) as (page, seen):
        page.goto(page_name)
        page.wait_for_selector("#state:not([hidden])")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]  # type: ignore[index]
        fetched = page.evaluate("performance.getEntries().map(e => [e.name, e.transferSize ?? 0])")
        own = [(name, size) for name, size in fetched if "latest.jpg" not in name]
        assert sum(size for _, size in own) < FIRST_LOAD_BYTES, own
    assert not seen.complaints


def test_the_pages_work_below_a_path_of_a_proxy(tmp_path: Path, chromium: Any) -> None:
    (tmp_path / "data").mkdir()
    street = Street(tmp_path)
    street.path.write_text(street.path.read_text().replace("enabled = true", 'enabled = true\nroot_path = "/cam"', 1))
    street.config = load(street.path)
    with street.filming(), running(street.premises()) as house, opened(chromium, address(house)) as (page, seen):
        page.goto("cam")
        page.wait_for_selector(".stage[data-state=live]")
        page.click("text=Condition")
        page.wait_for_url("**/cam/condition")
        page.wait_for_selector("#overall:has-text('All is well')")
    assert not seen.complaints
