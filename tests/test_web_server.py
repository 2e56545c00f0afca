"""The web server's thread: it listens, serves over TLS and behind proxies, ends in time, and is not there when off."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from mqtt_broker import Certificates
from web_house import LIMIT, PASSWORD, House, made_premises, running, with_password

from edgecam.config.web import WebSection
from edgecam.errors import ConfigError
from edgecam.testing import ManualClock
from edgecam.web import door
from edgecam.web.headers import HEADERS
from edgecam.web.server import WebWorker, check_access

pytestmark = pytest.mark.any_runtime
OFF = """
import json, sys, threading
from pathlib import Path
from edgecam.app import build
from edgecam.clock import SystemClock
from edgecam.config import load
app = build(load(Path(sys.argv[1])), SystemClock())
names = {name.split(".")[0] for name in sys.modules} | {name for name in sys.modules if name.startswith("edgecam.web")}
print(json.dumps({"modules": sorted(names), "threads": [thread.name for thread in threading.enumerate()],
    "services": [service.name for service in app.services]}))
"""


def test_it_serves_and_ends_without_a_trace(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with running(made_premises(tmp_path)) as house:
        answer = house.ask("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        port = house.port
    for thread in set(threading.enumerate()) - before:
        thread.join(LIMIT)  # a worker of the event loop hears of its end a moment later
        assert not thread.is_alive(), thread
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_ends_in_time_while_somebody_looks_on(tmp_path: Path) -> None:
    with running(made_premises(tmp_path)) as house, house.connect() as silent:
        silent.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert silent.recv(12) == b"HTTP/1.1 200"
        house.worker.stop_within(LIMIT)
        assert not house.worker.is_alive()


def test_a_port_that_is_taken_is_told_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    premises = made_premises(tmp_path, clock)
    port = premises.config.web.port
    worker = WebWorker(premises, lambda: None)
    with socket.create_server(("127.0.0.1", port)):
        worker.step()
        assert worker.trouble == f"the web server at 127.0.0.1:{port}: Address already in use: see [web] host and port"
    clock.advance(60.0)
    worker.step()
    assert (worker.trouble, worker.port) == ("", port)
    worker.teardown()
    assert worker.port == 0


def test_a_server_that_ended_by_itself_is_started_again(tmp_path: Path) -> None:
    clock = ManualClock()
    worker = WebWorker(made_premises(tmp_path, clock), lambda: None)
    worker.step()
    assert worker._server is not None
    worker._server.should_exit = True
    worker.step()
    assert "the web server ended" in worker.trouble
    clock.advance(60.0)
    worker.step()
    assert worker.port
    worker.teardown()


def test_tls_with_a_certificate_that_is_renewed(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("server.crt", "server.key"):
        shutil.copy(certificates.file(name), tmp_path / name)
    files: dict[str, Any] = {"cert_file": str(tmp_path / "server.crt"), "key_file": str(tmp_path / "server.key")}
    trusting = ssl.create_default_context(cafile=certificates.file("ca.crt"))
    with running(made_premises(tmp_path, password_file=with_password(tmp_path), **files)) as house:
        url = f"https://127.0.0.1:{house.port}"
        with httpx.Client(base_url=url, verify=trusting, trust_env=False) as client:
            assert client.get("/health").status_code == 200
            login = client.post("/login", json={"password": PASSWORD})
            assert "Secure" in login.headers["set-cookie"]
            assert client.get("/session").json()["authenticated"]
    worker = house.worker
    worker._certificate.load()  # type: ignore[union-attr]
    (tmp_path / "server.crt").write_text("half of it")
    with caplog.at_level(logging.WARNING):
        worker._certificate.renew()  # type: ignore[union-attr]
    assert "the certificate before it stays" in caplog.text


def test_whoever_takes_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent and not taken stays in the kernel and in one buffer, and the kernel ends the connection."""
    from edgecam.web import application

    made = application.create

    def with_flood(*parts: Any) -> Any:
        from fastapi.responses import StreamingResponse

        app = made(*parts)
        app.add_api_route("/flood", lambda: StreamingResponse(iter(lambda: bytes(65536), b"")))
        return app

    monkeypatch.setattr(application, "create", with_flood)
    monkeypatch.setattr(door, "STALL_LIMIT_MS", 500)
    with running(made_premises(tmp_path)) as house, house.connect() as stalled:
        stalled.sendall(b"GET /flood HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stalled.recv(12) == b"HTTP/1.1 200"
        state = house.worker._server.server_state  # type: ignore[union-attr]
        (flood,) = state.connections
        assert house.ask("/health").status_code == 200
        while flood in state.connections:
            house.worker.stopping.wait(0.05)


def test_more_connections_than_there_are_places_are_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "OTHER_CONNECTIONS", 7)
    with running(made_premises(tmp_path, max_viewers=1)) as house:
        hogs = [house.connect("127.0.0.2") for _ in range(6)]
        turned_away = [hog for hog in hogs if hog.gettimeout() and _is_closed(hog)]
        assert len(turned_away) == 2, "one address has half of the places"
        assert house.ask("/health").status_code == 200, "and the others the other half"
        for hog in hogs:
            hog.close()
    assert "too many connections, from 127.0.0.2" in caplog.text


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.3)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


class TestBehindAProxy:
    """Under a sub-path, with the proxy's word for who asks."""

    @pytest.fixture
    def house(self, tmp_path: Path) -> Any:
        premises = made_premises(
            tmp_path, root_path="/cam", trusted_proxies=["127.0.0.0/8"], password_file=with_password(tmp_path)
        )
        with running(premises) as house:
            yield house

    @pytest.mark.parametrize("path", ["/cam/health", "/health"])
    def test_the_sub_path_may_be_cut_off_or_not(self, house: House, path: str) -> None:
        assert house.ask(path).json() == {"status": "ok"}

    @pytest.mark.parametrize("path", ["/cam/review", "/review"])
    def test_a_browser_is_sent_to_the_log_in_of_the_sub_path(self, house: House, path: str) -> None:
        answer = house.ask(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/cam/login?next=/cam/review")

    def test_it_comes_back_to_what_was_asked_for(self, house: House) -> None:
        answer = house.ask("/review?label=dog", headers={"Accept": "text/html"})
        assert answer.headers["location"] == "/cam/login?next=/cam/review%3Flabel%3Ddog"

    def test_the_cookie_is_for_the_sub_path_and_for_tls_where_the_proxy_speaks_it(self, house: House) -> None:
        answer = house.ask("/cam/login", "POST", json={"password": PASSWORD}, headers={"X-Forwarded-Proto": "https"})
        assert {"Path=/cam", "Secure", "HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))

    @pytest.mark.parametrize(
        ("forwarded", "asker"),
        [
            ("10.1.1.1", "10.1.1.1"),
            ("6.6.6.6, 10.1.1.1", "10.1.1.1"),
            ("10.1.1.1, 127.0.0.3", "10.1.1.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("", "127.0.0.1"),
        ],
    )
    def test_who_asks_is_whom_the_proxy_names(
        self, house: House, caplog: pytest.LogCaptureFixture, forwarded: str, asker: str
    ) -> None:
        house.ask("/login", "POST", json={"password": "wrong one"}, headers={"X-Forwarded-For": forwarded})
        assert f"a wrong password, from {asker}" in caplog.text

    def test_a_page_of_ours_is_ours_by_the_name_that_the_proxy_has(self, house: House) -> None:
        headers = {"Origin": "https://cam.example", "X-Forwarded-Host": "cam.example"}
        assert house.ask("/cam/logout", "POST", headers=headers).status_code == 401
        assert house.ask("/cam/logout", "POST", headers=headers | {"X-Forwarded-Host": ""}).status_code == 403


def test_who_is_no_trusted_proxy_is_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(made_premises(tmp_path, password_file=with_password(tmp_path))) as house:
        headers = {"X-Forwarded-For": "10.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "cam.example"}
        house.ask("/login", "POST", json={"password": "wrong one"}, headers=headers)
        assert "a wrong password, from 127.0.0.1" in caplog.text
        cookie = house.ask("/login", "POST", json={"password": PASSWORD}, headers=headers).headers["set-cookie"]
        assert "Secure" not in cookie


class TestAccess:
    """What must be there before it listens."""

    @pytest.fixture(autouse=True)
    def no_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("EDGECAM_WEB_PASSWORD_HASH", "CREDENTIALS_DIRECTORY"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
    def test_this_machine_alone_needs_no_password(self, host: str) -> None:
        check_access(WebSection(host=host))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "camera.lan"])  # noqa: S104
    def test_beyond_this_machine_there_must_be_one(self, host: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="a password is needed: make one with `edgecam web password`"):
            check_access(WebSection(host=host))
        check_access(WebSection(host=host, password_file=with_password(tmp_path)))

    def test_the_credential_of_systemd_is_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copy(with_password(tmp_path), tmp_path / "web-password")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        check_access(WebSection(host="::"))

    @pytest.mark.parametrize("text", ["correct horse", "", "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"])
    def test_what_is_no_hash_is_refused_and_not_shown(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "password").write_text(text)
        with pytest.raises(ConfigError, match=r"web\.password_file .*make one with `edgecam web password`") as refused:
            check_access(WebSection(password_file=str(tmp_path / "password")))
        assert not text or text not in str(refused.value)

    def test_files_that_are_not_there(self, tmp_path: Path) -> None:
        nowhere = str(tmp_path / "nowhere")
        with pytest.raises(ConfigError, match="not found"):
            check_access(WebSection(password_file=nowhere))
        with pytest.raises(ConfigError, match="No such file"):
            check_access(WebSection(cert_file=nowhere))

    def test_a_key_of_another_certificate(self, certificates: Certificates) -> None:
        options = WebSection(cert_file=str(certificates.file("server.crt")), key_file=str(certificates.file("ca.key")))
        with pytest.raises(ConfigError, match="does not belong to the certificate"):
            check_access(options)

    def test_libraries_that_are_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edgecam.web.packages.LIBRARIES", ("argon2", "no_such_library"))
        with pytest.raises(ConfigError, match=r"not installed: no_such_library: pip install 'edgecam\[web\]'"):
            check_access(WebSection())


def test_off_it_leaves_not_one_import_and_no_thread(tmp_path: Path) -> None:
    config = tmp_path / "edgecam.toml"
    config.write_text("data_dir = '.'\n[cameras.a]\ntype = 'synthetic'\n")
    done = subprocess.run(
        [sys.executable, "-c", OFF, str(config)], capture_output=True, text=True, timeout=LIMIT * 2, check=True
    )
    found = json.loads(done.stdout)
    absent = {"argon2", "fastapi", "starlette", "tomlkit", "uvicorn", "websockets", "anyio", "h11", "edgecam.web"}
    assert not absent & set(found["modules"])
    assert [name for name in found["modules"] if name.startswith("edgecam.web.")] == []
    assert found["threads"] == ["MainThread"]
    assert "web" not in found["services"]
