"""Who must not come in does not, is told to the log once, and disturbs nobody."""

from __future__ import annotations

import base64
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_house import PASSWORD, House, cookie_of, made_premises, running, with_password
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from edgecam.clock import SystemClock
from edgecam.config.web import WebSection
from edgecam.testing import ManualClock
from edgecam.web import door
from edgecam.web.auth import CHECKS, Guard, LoginRefused
from edgecam.web.limits import (
    ADDRESSES,
    BODY_LIMIT_BYTES,
    FIRST_WAIT,
    FREE_GUESSES,
    GUESSES_KEPT,
    GUESSES_OF_ALL,
    GUESSES_WINDOW,
    LOG_EVERY,
    LONGEST_WAIT,
    GuessLimit,
    Refusals,
)
from edgecam.web.sessions import MOST, Sessions
from edgecam.web.tokens import Tokens

pytestmark = pytest.mark.any_runtime
TRAVERSALS = (
    "/static/../../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd", "/static/..\\x",
    "/static/%5c..%5cx", "/static/a%00.js", "/..", "/./health", "/static//../x", "/" + "a" * 2000,
)  # fmt: skip
UNFINISHED = (
    "", "GET /hea", "GET /health HTTP/1.1\r\nHost: a\r\nX: ",
    "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def house(folder: Path) -> Iterator[House]:
    """One with a password."""
    with running(made_premises(folder, password_file=with_password(folder))) as house:
        yield house


@pytest.fixture
def tokens(folder: Path) -> Tokens:
    return Tokens(folder / "web-tokens.json")


@pytest.fixture(autouse=True)
def still_served(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does to the house: others are served."""
    yield
    if "house" in request.fixturenames:
        assert request.getfixturevalue("house").ask("/health").status_code == 200


class TestRequests:
    """What is refused whoever asks."""

    @pytest.mark.parametrize("path", TRAVERSALS)
    def test_a_path_that_leads_astray(self, house: House, path: str) -> None:
        answer = house.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400"), answer[:100]
        assert b"root:" not in answer

    def test_a_body_that_says_it_is_too_large(self, house: House) -> None:
        assert house.ask("/login", "POST", content=bytes(BODY_LIMIT_BYTES + 1)).status_code == 413

    def test_a_body_that_turns_out_too_large(self, house: House) -> None:
        pieces = (b" " * 65536 for _ in range(BODY_LIMIT_BYTES // 65536 + 1))
        answer = house.ask("/login", "POST", content=pieces, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        "text",
        [
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "a" * 20_000,
            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        ],
        ids=["a long head", "not HTTP", "less than nothing"],
    )
    def test_what_is_no_request(self, house: House, text: str) -> None:
        assert house.send(text).startswith(b"HTTP/1.1 400")

    @given(st.binary(min_size=1, max_size=200))
    def test_any_bytes(self, house: House, sent: bytes) -> None:
        with house.connect() as connection:
            connection.sendall(sent + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)

    @pytest.mark.parametrize("start", UNFINISHED, ids=["nothing", "half a line", "half a header", "half a body"])
    def test_one_that_does_not_come_to_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, start: str
    ) -> None:
        """Slowloris."""
        monkeypatch.setattr(door, "REQUEST_TIMEOUT", 0.3)
        with running(made_premises(tmp_path)) as house, house.connect() as slow:
            slow.sendall(start.encode())
            assert house.ask("/health").status_code == 200
            with suppress(ConnectionResetError):
                assert slow.recv(4096) == b""
        assert "a request that did not come to its end, from 127.0.0.1" in caplog.text


class TestOtherSites:
    """Requests that another site's page makes a browser send, with the owner's cookies or where none are needed."""

    STRANGERS = (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://[::1"},
    )  # fmt: skip

    @pytest.mark.parametrize("headers", STRANGERS, ids=str)
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_they_change_nothing(self, house: House, headers: dict[str, str], method: str) -> None:
        with house.logged_in() as browser:
            assert browser.request(method, "/logout", headers=headers).status_code == 403
            assert browser.get("/session").json()["authenticated"]

    @pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}])
    def test_our_own_do(self, house: House, headers: dict[str, str]) -> None:
        with house.logged_in() as browser:
            ours = {"Origin": str(browser.base_url).rstrip("/")}
            assert browser.post("/logout", headers=headers or ours).status_code == 204
            assert not browser.get("/session").json()["authenticated"]

    def test_nor_do_they_look_on(self, house: House) -> None:
        with house.logged_in() as browser:
            headers = dict(cookie_of(browser)) | {"Origin": "https://evil.example"}
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"ws://127.0.0.1:{house.port}/live/a", additional_headers=headers).__enter__()

    def test_a_form_of_theirs_does_not_log_in(self, house: House) -> None:
        form = {"data": {"password": PASSWORD}}
        assert house.ask("/login", "POST", **form).status_code == 422
        assert house.ask("/login", "POST", content=f'{{"password": "{PASSWORD}"}}').status_code == 422

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("evil.example", 403), ("evil.example:8080", 403), ("127.0.0.1.evil.example", 403), ("[::1", 403),
            ("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:8080", 200), ("192.168.1.5", 200), ("Camera.lan", 200),
        ],
    )  # fmt: skip
    def test_a_name_that_was_made_to_lead_here(self, tmp_path: Path, host: str, status: int) -> None:
        """DNS rebinding: it would be the page's own site, and without a password nothing else is in the way."""
        with running(made_premises(tmp_path, hosts=["camera.lan"])) as house:
            assert house.ask("/health", headers={"Host": host}).status_code == status


class TestPeople:
    """The password and the sessions."""

    def test_without_it_nothing_is_told(self, house: House) -> None:
        for path in ("/", "/review", "/api/version", "/api/status", "/api/openapi.json", "/api/a/latest.jpg", "/nope"):
            answer = house.ask(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"ws://127.0.0.1:{house.port}/live/a").__enter__()

    def test_with_it_a_session_begins_and_ends(self, house: House) -> None:
        assert not house.ask("/session").json()["authenticated"]
        with house.logged_in() as browser:
            (cookie,) = browser.cookies.jar
            assert cookie.has_nonstandard_attr("HttpOnly")
            assert browser.get("/session").json() == {
                "authenticated": True, "password_needed": True, "may_change": True, "program": "",
            }  # fmt: skip
            kept = cookie_of(browser)
            assert browser.get("/api/openapi.json").status_code == 200
            assert browser.post("/logout").status_code == 204
            assert browser.get("/api/openapi.json").status_code == 401
        assert house.ask("/session", headers=kept).json()["authenticated"] is False, "the cookie alone is no session"

    def test_where_there_is_none_everybody_is_in(self, tmp_path: Path) -> None:
        with running(made_premises(tmp_path)) as house:
            assert house.ask("/session").json()["authenticated"]
            assert house.ask("/api/openapi.json").status_code == 200

    def test_a_new_password_ends_all_sessions(self, tmp_path: Path) -> None:
        premises = made_premises(tmp_path, password_file=with_password(tmp_path))
        with running(premises) as house, house.logged_in() as browser:
            with_password(tmp_path, "battery staple")
            assert browser.get("/api/openapi.json").status_code == 401
            assert browser.post("/login", json={"password": PASSWORD}).status_code == 401
            assert browser.post("/login", json={"password": "battery staple"}).status_code == 200
            (tmp_path / "password").unlink()
            assert browser.get("/api/openapi.json").status_code == 401, "without its password it is locked, not open"
            assert browser.post("/login", json={"password": "battery staple"}).status_code == 401

    def test_guessing_takes_ever_longer(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with running(made_premises(tmp_path, password_file=with_password(tmp_path))) as house:
            with house.client() as guesser:
                codes = [guesser.post("/login", json={"password": f"guess {n}"}).status_code for n in range(20)]
                refused = guesser.post("/login", json={"password": PASSWORD})
            assert codes == [401] * FREE_GUESSES + [429] * (20 - FREE_GUESSES)
            assert refused.status_code == 429, "also when it is right at last"
            assert 1 <= int(refused.headers["retry-after"]) <= FIRST_WAIT
        lines = [record.message for record in caplog.records if "password" in record.message]
        assert lines == ["web: a wrong password, from 127.0.0.1", "web: too many wrong passwords, from 127.0.0.1"]
        assert "guess" not in caplog.text

    async def _many(self, guard: Guard) -> list[str]:
        import asyncio

        tries = [guard.log_in("a wrong one", f"10.0.0.{n}") for n in range(CHECKS + 3)]
        return [str(error) for error in await asyncio.gather(*tries, return_exceptions=True)]

    def test_few_passwords_are_checked_at_the_same_time(self, tmp_path: Path) -> None:
        import asyncio

        guard = Guard.of(made_premises(tmp_path, password_file=with_password(tmp_path)))
        said = asyncio.run(self._many(guard))
        assert sorted(said) == ["too many log-ins at once: try again"] * 3 + ["wrong password"] * CHECKS

    def test_sessions_end_by_age_and_are_few(self) -> None:
        clock = ManualClock()
        sessions = Sessions(100.0, clock.monotonic)
        first, *others = [sessions.begin() for _ in range(MOST)]
        assert sessions.holds(first)
        others.append(sessions.begin())
        assert not sessions.holds(first)
        assert all(map(sessions.holds, others))
        clock.advance(100.0)
        assert not any(map(sessions.holds, others))


class TestPrograms:
    """Tokens."""

    def shown(self, token: str, kind: str) -> dict[str, str]:
        if kind == "Basic":
            token = base64.b64encode(f"anybody:{token}".encode()).decode()
        return {"Authorization": f"{kind} {token}"}

    @pytest.mark.parametrize("kind", ["Bearer", "Basic", "bearer"])
    def test_a_token_opens_until_it_is_revoked(self, house: House, tokens: Tokens, kind: str) -> None:
        headers = self.shown(tokens.make(f"by {kind}", SystemClock().wall(0)), kind)
        assert house.ask("/session", headers=headers).json()["program"] == f"by {kind}"
        assert house.ask("/api/openapi.json", headers=headers).status_code == 200
        tokens.revoke(f"by {kind}")
        assert house.ask("/api/openapi.json", headers=headers).status_code == 401

    def test_one_that_may_look_changes_nothing(
        self, house: House, tokens: Tokens, caplog: pytest.LogCaptureFixture
    ) -> None:
        headers = self.shown(tokens.make("eyes", SystemClock().wall(0), read_only=True), "Bearer")
        assert house.ask("/session", headers=headers).json()["may_change"] is False
        assert house.ask("/api/events/1.0-a", "DELETE", headers=headers).status_code == 403
        tokens.revoke("eyes")

    @pytest.mark.parametrize(
        "shown", ["Bearer x", "Bearer", "Basic !!", "Basic eDp4", "Digest a", "\xff", "Bearer" * 9]
    )
    def test_a_wrong_one_opens_nothing(self, house: House, shown: str) -> None:
        answer = house.ask("/api/openapi.json", headers={"Authorization": shown.encode("latin-1")})
        assert answer.status_code == 401

    def test_a_wrong_one_is_logged_and_not_shown(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with running(made_premises(tmp_path, password_file=with_password(tmp_path))) as house:
            for number in range(9):
                house.ask("/api/openapi.json", headers=self.shown(f"secret-{number}", "Bearer"))
        assert [record.message for record in caplog.records if "token" in record.message] == [
            "web: a wrong token, from 127.0.0.1"
        ]
        assert "secret" not in caplog.text

    def test_a_file_of_tokens_that_is_broken_opens_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "web-tokens.json").write_text("{")
        with running(made_premises(tmp_path, password_file=with_password(tmp_path))) as house:
            assert house.ask("/api/openapi.json", headers=self.shown("x", "Bearer")).status_code == 401

    def test_nothing_that_opens_is_kept(self, tmp_path: Path) -> None:
        kept = Tokens(tmp_path / "web-tokens.json")
        made = kept.make("ha", SystemClock().wall(0))
        assert re.fullmatch(r"edgecam_[\w-]{43}", made)
        assert made.removeprefix("edgecam_") not in kept.path.read_text()
        assert kept.path.stat().st_mode & 0o777 == 0o600


class TestLimits:
    """Waiting and the log, by a clock that is told."""

    def test_the_wait_doubles_and_ends(self) -> None:
        clock = ManualClock()
        limit = GuessLimit(clock.monotonic)
        waits = []
        for _ in range(20):
            limit.wrong("10.0.0.1")
            waits.append(limit.wait("10.0.0.1"))
            clock.advance(waits[-1])
            assert limit.wait("10.0.0.1") == 0
        assert waits[: FREE_GUESSES - 1] == [0.0] * (FREE_GUESSES - 1)
        assert waits[FREE_GUESSES - 1 : FREE_GUESSES + 2] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
        assert waits[-1] == LONGEST_WAIT
        clock.advance(GUESSES_KEPT + 1)
        limit.wrong("10.0.0.1")
        assert limit.wait("10.0.0.1") == 0, "long ago is forgotten"

    def test_others_need_not_wait_and_who_is_right_starts_anew(self) -> None:
        limit = GuessLimit(ManualClock().monotonic)
        for _ in range(FREE_GUESSES):
            limit.wrong("10.0.0.1")
        assert (limit.wait("10.0.0.1") > 0, limit.wait("10.0.0.2")) == (True, 0)
        limit.right("10.0.0.1")
        assert limit.wait("10.0.0.1") == 0

    def test_one_network_of_ipv6_is_one_guesser(self) -> None:
        limit = GuessLimit(ManualClock().monotonic)
        for number in range(FREE_GUESSES):
            limit.wrong(f"2001:db8::{number}")
        assert limit.wait("2001:db8::ffff") > 0
        assert limit.wait("2001:db8:0:1::1") == 0

    def test_many_addresses_do_not_help(self) -> None:
        clock = ManualClock()
        limit = GuessLimit(clock.monotonic)
        for number in range(GUESSES_OF_ALL):
            limit.wrong(f"10.0.{number}.1")
        assert 0 < limit.wait("10.9.9.9") <= GUESSES_WINDOW
        clock.advance(GUESSES_WINDOW)
        assert limit.wait("10.9.9.9") == 0

    def test_what_is_remembered_is_bounded(self) -> None:
        limit = GuessLimit(ManualClock().monotonic)
        for number in range(ADDRESSES + 100):
            limit.wrong(f"10.{number // 250}.{number % 250}.1")
        assert len(limit._by_address) == ADDRESSES

    def test_the_log_has_one_line_of_a_kind_in_a_while(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = ManualClock()
        refusals = Refusals(clock.monotonic)
        with caplog.at_level(logging.WARNING):
            for _ in range(50):
                refusals.note("a wrong token", "10.0.0.1")
            clock.advance(LOG_EVERY)
            refusals.note("a wrong token", "10.0.0.2", "line\nbreak \x1b[31m")
        assert [record.message for record in caplog.records] == [
            "web: a wrong token, from 10.0.0.1",
            "web: a wrong token, from 10.0.0.2: 'line\\nbreak \\x1b[31m' (49 more before)",
        ]
        assert refusals.counts == {"a wrong token": 51}

    def test_the_right_password_is_let_in_by_the_guard(self, tmp_path: Path) -> None:
        import asyncio

        guard = Guard.of(made_premises(tmp_path, password_file=with_password(tmp_path)))
        key = asyncio.run(guard.log_in(PASSWORD, "10.0.0.1"))
        cookie = {b"cookie": f"{guard.cookie}={key}".encode()}
        assert guard.visitor(cookie, "10.0.0.1") is not None
        assert guard.visitor({b"cookie": b"\xff;;=" + cookie[b"cookie"][:-1]}, "10.0.0.1") is None
        with pytest.raises(LoginRefused, match="wrong password"):
            asyncio.run(guard.log_in("wrong one", "10.0.0.1"))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"root_path": "/cam/"}, "without / at its end"),
        ({"root_path": "cam"}, "allowed is nothing, or a path"),
        ({"root_path": "/a/../b"}, "allowed is nothing, or a path"),
        ({"trusted_proxies": ["proxy.lan"]}, "allowed is an address, or a network"),
        ({"hosts": ["cam.lan:80"]}, "without port"),
        ({"key_file": "k.pem"}, "needs cert_file"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        WebSection(**settings)
