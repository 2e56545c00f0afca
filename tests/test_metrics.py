"""The metrics: what Prometheus is told, and how."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from test_mqtt_status import camera, counted, facts

from edgecam.health.board import UNDER_VOLTAGE, Board
from edgecam.health.facts import BoardFacts, Facts, MqttFacts, StorageFacts
from edgecam.health.metrics import REQUESTS, MetricsServer
from edgecam.latency import Latency
from edgecam.testing import ManualClock

pytest.importorskip("prometheus_client", reason="no prometheus-client: pip install prometheus-client")

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

LIMIT = 30.0


@contextmanager
def serving(gather: Callable[[], Facts], host: str = "127.0.0.1") -> Iterator[MetricsServer]:
    """A server at work at any free port."""
    server = MetricsServer(host, 0, gather, ManualClock())
    server.start()
    while not server.port and server.is_alive():
        server.join(0.01)
    try:
        yield server
    finally:
        assert server.stop_within(LIMIT) is None


def scraped(server: MetricsServer, path: str = "/metrics") -> dict[tuple[str, ...], float]:
    """The figures, by name and the values of their labels in the order of the labels' names."""
    url = f"http://127.0.0.1:{server.port}{path}"
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    assert all(family.name.startswith("edgecam") and family.documentation for family in families)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_prometheus_is_told(tmp_path: Path) -> None:
    stages = dict(camera().latencies) | {"event": Latency(3, 0.01, 0.02, 0.03)}
    well = camera(counters=counted(300), latencies=stages)
    board = BoardFacts(Board("Raspberry Pi 5", watched=True), {UNDER_VOLTAGE: 1.0}, {UNDER_VOLTAGE: 2})
    told = replace(
        facts(tmp_path, MqttFacts(waiting=4, sent=9), front=well, yard=camera(camera_lost_since=1.0)),
        storage=StorageFacts(stored_bytes=10, written_bytes=20),
        board=board,
    )
    with serving(lambda: told) as server:
        figures = scraped(server)
    assert figures["edgecam_frames_captured_total", "front"] == 300
    assert figures["edgecam_camera_open", "front"] == 1
    assert figures["edgecam_camera_open", "yard"] == 0
    assert figures["edgecam_stage_seconds", "front", "0.95", "event"] == 0.02
    assert figures["edgecam_stage_seconds_count", "front", "event"] == 3
    assert ("edgecam_stage_seconds", "front", "0.5", "output") not in figures, "there was none yet"
    assert figures["edgecam_detector_info", "front", "usb:2-1", "mobiledet", "litert 1.4"] == 1
    assert figures["edgecam_switch_on", "front", "recordings"] == 1
    assert figures["edgecam_messages_waiting",] == 4
    assert figures["edgecam_messages_sent_total",] == 9
    assert figures["edgecam_clips_bytes",] == 10
    assert figures["edgecam_disk_written_bytes_total",] == 20
    assert figures["edgecam_resident_memory_bytes",] > 10_000_000
    assert figures["edgecam_throttled", UNDER_VOLTAGE] == 1
    assert figures["edgecam_throttled_episodes_total", UNDER_VOLTAGE] == 2
    assert figures["edgecam_degraded",] == 1


def test_what_is_not_known_is_not_told(tmp_path: Path) -> None:
    with serving(lambda: facts(tmp_path / "gone")) as server:
        names = {name for name, *_ in scraped(server)}
    assert not names & {"edgecam_throttled", "edgecam_disk_free_bytes", "edgecam_disk_written_bytes_total"}
    assert "edgecam_degraded" in names


def test_each_scrape_tells_how_it_is_then(tmp_path: Path) -> None:
    frames = [10]
    with serving(lambda: facts(tmp_path, front=camera(counters=counted(frames[0])))) as server:
        first = scraped(server)
        frames[0] = 50
        second = scraped(server, "/")
    assert [each["edgecam_frames_captured_total", "front"] for each in (first, second)] == [10, 50]


def test_newer_servers_ask_for_openmetrics(tmp_path: Path) -> None:
    stages = dict.fromkeys(camera().latencies, Latency(3, 0.01, 0.02, 0.03))
    with serving(lambda: facts(tmp_path, front=camera(latencies=stages))) as server:
        accepted = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
        asked = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", headers=accepted)
        with urllib.request.urlopen(asked, timeout=LIMIT) as answer:  # noqa: S310 (our own)
            text = answer.read().decode()
    families = {family.name: family for family in openmetrics_families(text)}  # type: ignore[no-untyped-call]
    assert families["edgecam_stage_seconds"].type == "summary"
    assert families["edgecam_frames_captured"].type == "counter"


def test_who_says_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    with serving(lambda: facts(tmp_path)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), LIMIT) for _ in range(REQUESTS - 1)]
        assert scraped(server)
        for client in silent:
            client.close()


def test_a_crowd_is_sent_away(tmp_path: Path) -> None:
    with serving(lambda: facts(tmp_path)) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), LIMIT) for _ in range(REQUESTS)]
        with closing(socket.create_connection(("127.0.0.1", server.port), LIMIT)) as late:
            assert late.recv(1) == b""
        for client in clients:
            client.close()


def test_a_port_that_is_taken_is_told_and_tried_again(tmp_path: Path) -> None:
    clock = ManualClock()
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        server = MetricsServer("127.0.0.1", port, lambda: facts(tmp_path), clock)
        server.stopping.set()  # it waits for nothing
        server.step()
        assert server.trouble == f"the metrics at 127.0.0.1:{port}: Address already in use: see [metrics] host and port"
    clock.advance(30.0)
    server.step()
    assert server.trouble == ""
    server.teardown()


@pytest.mark.parametrize("host", ["256.1.1.1", "::zz"])
def test_an_address_that_is_none(host: str, tmp_path: Path) -> None:
    server = MetricsServer(host, 9898, lambda: facts(tmp_path), ManualClock())
    server.stopping.set()
    server.step()
    assert server.trouble.startswith(f"the metrics at {host}:9898: ")
