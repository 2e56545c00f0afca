"""The pages and the API of a real `edgecam run`: there, and a configuration saved in them is followed at once."""

from __future__ import annotations

import json
import signal
import socket
from http.client import HTTPConnection
from pathlib import Path

import pytest
from test_service import Run

pytest.importorskip("fastapi", reason="the extra web is not installed")
pytestmark = pytest.mark.any_runtime
ZONE = {"zones": {"drive": {"polygon": [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]]}}}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def asked(port: int, path: str, document: object = None) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        body = None if document is None else json.dumps(document)
        connection.request("PUT" if body else "GET", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, content
    return content


def test_a_zone_drawn_in_the_browser_is_in_force_at_once(tmp_path: Path) -> None:
    port = free_port()
    run = Run(tmp_path, extra=f"[web]\nenabled = true\nport = {port}")
    try:
        run.systemd.wait_for("READY=1")
        run.wait_for_log(f"web: http://127.0.0.1:{port}")
        assert json.loads(asked(port, "/api/status"))["status"]["status"] == "ok"
        assert b"<html" in asked(port, "/")
        assert asked(port, "/api/street/latest.jpg").startswith(b"\xff\xd8")
        saved = json.loads(asked(port, "/api/street/marks", ZONE))
        assert saved["needs_restart"] == []
        run.wait_for_log("now in force: cameras.street.zones")
        assert "drive" in run.config.read_text(encoding="utf-8")
        run.process.send_signal(signal.SIGTERM)
        assert run.finish()[0] == 0, run.logged()
    finally:
        run.end()
