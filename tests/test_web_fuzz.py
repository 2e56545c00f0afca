"""Whatever is asked, the server answers: never with an error of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")
pytest.importorskip("httpx", reason="no HTTP client for tests: install edgecam[test]")

from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt_broker import free_port
from web_house import running
from web_premises import Client, Home

from edgecam.config import load
from edgecam.config.web import WebSection
from edgecam.web.api import router

pytestmark = pytest.mark.any_runtime

REQUESTS = 10_000
ENDLESS = r"^/api/(changes|\{camera\})$"
"""Streams: who asks for them waits for ever."""
CHECKS = "not_a_server_error,content_type_conformance"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def recorded(folder: Path) -> Home:
    """A home with some events."""
    home = Home(folder)
    for number in range(5):
        home.record(f"e{number}", number * 60.0, picture=number % 2 == 0, entered_zones=["drive"])
        home.film(f"clip{number}", f"e{number}", at=number * 60.0, boxes=number % 2 == 0)
    return home


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with tempfile.TemporaryDirectory() as folder:
        app = FastAPI()
        app.include_router(router(recorded(Path(folder)).premises()))
        with Client(app) as opened:
            yield opened


PATHS = [
    "/api/events/{}",
    "/api/events/{}/clip.mp4",
    "/api/events/{}/snapshot.jpg",
    "/api/events/e0/{}",
    "/api/{}/marks",
    "/api/{}/switches/detect",
    "/api/front/switches/{}",
]
KEYS = ["cameras", "labels", "zones", "after", "before", "limit", "has_clip", "include_thumbnails", "n", "h", "hours"]


@settings(max_examples=60)
@given(path=st.sampled_from(PATHS), text=texts, query=st.dictionaries(st.sampled_from(KEYS), texts, max_size=3))
def test_any_path_and_query_is_answered(client: Client, path: str, text: str, query: dict[str, str]) -> None:
    assert client.get(path.format(quote(text, safe="")), params=query).status_code < 500


@settings(max_examples=60)
@given(
    query=st.dictionaries(st.sampled_from(KEYS), texts, max_size=3), path=st.sampled_from(["events", "days", "history"])
)
def test_any_question_about_events_is_answered(client: Client, path: str, query: dict[str, str]) -> None:
    assert client.get(f"/api/{path}", params=query).status_code < 500


@settings(max_examples=60)
@given(
    range_=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
    | st.from_regex(r"\Abytes=[0-9,-]{0,12}\Z")
)
def test_any_range_is_answered(client: Client, range_: str) -> None:
    headers = {"Range": range_.strip().encode("latin-1")}
    assert client.get("/api/events/e0/clip.mp4", headers=headers).status_code < 500


MARKS = st.fixed_dictionaries(
    {},
    optional={
        "zones": st.dictionaries(st.sampled_from(["a", "drive", "back", "ü"]), values, max_size=2),
        "lines": values,
        "masks": st.lists(st.lists(st.lists(st.floats(-0.1, 1.1), min_size=2, max_size=2), max_size=5), max_size=2),
        "required_zones": values,
    },
)


@settings(max_examples=60)
@given(body=st.binary(max_size=30) | (values | MARKS).map(lambda value: json.dumps(value).encode()))
def test_any_marks_are_answered(client: Client, body: bytes) -> None:
    answer = client.put("/api/front/marks", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500
    assert client.get("/api/front/marks").status_code == 200


@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="takes some 10 minutes: EDGECAM_LABS=1")
@pytest.mark.timeout(3600)
def test_schemathesis_finds_no_error(tmp_path: Path) -> None:
    schemathesis = shutil.which("st")
    if schemathesis is None:
        pytest.skip("no Schemathesis: pip install schemathesis, anywhere in PATH")
    home = recorded(tmp_path)
    config = load(home.path).model_copy(update={"web": WebSection(enabled=True, port=free_port())})
    with running(home.premises(config=config)) as house:
        address = f"http://127.0.0.1:{house.port}/api/openapi.json"
        command = [schemathesis, "run", address, "--exclude-path-regex", ENDLESS, "--include-path-regex", "^/api/"]
        command += ["-n", "400", "-w", "1", "--continue-on-failure", "--no-color", "--generation-database", "none"]
        ended = subprocess.run([*command, "-c", CHECKS], capture_output=True, text=True, check=False)
    counted = re.search(r"(\d+) generated", ended.stdout)
    assert counted
    assert int(counted[1]) >= REQUESTS
    assert ended.returncode == 0, ended.stdout[-5000:]
