"""The files of the pages: small, kept by browsers, whole, and with nothing that a strict browser would not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")
pytest.importorskip("httpx", reason="no HTTP client for tests: install edgecam[test]")

import httpx
from web_house import made_premises, running

from edgecam.web.pages import FOREVER
from edgecam.web.pages.files import load_static
from edgecam.web.pages.html import PAGES, imports

pytestmark = pytest.mark.any_runtime

VERSION, STATIC = load_static()
SCRIPTS = sorted(name for name in STATIC if name.endswith(".js"))
FIRST_LOAD_BYTES = 40_000
"""Of a page with all its files: what is shown in it comes on top."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(made_premises(tmp_path_factory.mktemp("home"))) as house, house.client() as asking:
        yield asking


class Parts(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.files: list[str] = []
        self.inline: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._script = tag in {"script", "style"}
        self.inline += [f"{tag} {name}" for name in attributes if name == "style" or name.startswith("on")]
        self.ids += [value for name, value in attrs if name == "id" and value]
        file = attributes.get("src") if tag == "script" else attributes.get("href") if tag == "link" else None
        if file:
            self.files.append(file)

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_script_or_style_of_its_own_and_all_its_files_exist(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    parts = Parts(answer.text)
    assert answer.status_code == 200
    assert not parts.inline
    assert len(parts.ids) == len(set(parts.ids))
    assert all(client.get(f"/{file}").status_code == 200 for file in parts.files)
    assert not re.search(r"(src|href|action)=\"(/|https?:)", answer.text), "below a proxy's path all must be relative"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_with_its_files_is_small(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    files = {f"/{file}" for file in Parts(page.text).files if "icon" not in file}
    sent = [int(client.get(each).headers["content-length"]) for each in (path, *files)]
    assert sum(sent) < FIRST_LOAD_BYTES


@pytest.mark.parametrize("name", PAGES.values())
def test_scripts_find_the_elements_that_they_name(client: httpx.Client, name: str) -> None:
    path = next(path for path, page in PAGES.items() if page == name)
    ids = {*Parts(client.get(path).text).ids}
    for script in {f"{name}.js", *imports(f"{name}.js", STATIC)} - {"base.js"}:
        text = STATIC[script].content.decode()
        made = {*re.findall(r"id: \"([a-z-]+)\"", text)}
        assert {*re.findall(r"\bat\(\"([a-z-]+)\"\)", text)} <= ids | made, script


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_needs_only_what_there_is_and_nothing_a_strict_browser_forbids(script: str) -> None:
    text = STATIC[script].content.decode()
    assert imports(script, STATIC) <= STATIC.keys()
    assert len(imports(script, STATIC)) >= text.count("\nimport "), "preloads are found by their form"
    assert not re.search(r"\beval\(|new Function|setAttribute\(\"style\"|[a-z]+=\"/", text)
    assert text.count("\n") <= 300


def test_a_file_whose_address_names_its_version_stays_and_any_other_is_asked_for(client: httpx.Client) -> None:
    kept = client.get(f"/static/{VERSION}/base.js")
    other = client.get("/static/0123456789ab/base.js")
    assert kept.headers["cache-control"] == FOREVER
    assert "no-cache" in other.headers["cache-control"]
    assert kept.text == other.text == STATIC["base.js"].content.decode()
    assert kept.headers["content-type"].startswith("text/javascript")
    again = client.get("/static/0123456789ab/base.js", headers={"if-none-match": other.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_who_cannot_unpack_gets_it_as_it_is(client: httpx.Client) -> None:
    plain = client.get("/", headers={"accept-encoding": "identity"})
    packed = client.get("/", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.text == packed.text
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])


@pytest.mark.parametrize("name", ["nothing.js", "..%2Ffiles.py", "%2e%2e", "../__init__.py", "html"])
def test_there_are_no_other_files(client: httpx.Client, name: str) -> None:
    assert client.get(f"/static/{VERSION}/{name}").status_code in {400, 404}


def test_a_head_says_what_a_get_would_send(client: httpx.Client) -> None:
    for path in ("/", "/favicon.ico", "/manifest.webmanifest", f"/static/{VERSION}/frame.css"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == get.headers["etag"]
    told = client.get("/manifest.webmanifest").json()
    assert all(client.get(f"/{icon['src']}").status_code == 200 for icon in told["icons"])
