"""docs/status.md tells what the code does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_mqtt_status import camera, facts

from edgecam.health.board import TROUBLES, UNDER_VOLTAGE, Board
from edgecam.health.facts import BoardFacts, MqttFacts, StorageFacts
from edgecam.health.processes import own_processes
from edgecam.health.report import Report
from edgecam.health.status import StatusReport
from edgecam.latency import Latency
from edgecam.testing import ManualClock

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "status.md"


def rows() -> Iterator[str]:
    """The lines of the table of metrics; the temperature is that of a machine that tells it."""
    pytest.importorskip("prometheus_client", reason="no prometheus-client: pip install prometheus-client")
    from edgecam.health.figures import figures

    took = Latency(3, 0.01, 0.02, 0.03)
    front = camera(latencies=dict.fromkeys(camera().latencies, took))
    board = BoardFacts(Board("a board", watched=True), {UNDER_VOLTAGE: 1.0})
    storage = StorageFacts(written_bytes=1)
    told = replace(facts(Path("/"), MqttFacts(publish=took), front=front), board=board, storage=storage)
    for metric in figures(told, StatusReport(ManualClock()).document(told), own_processes(), 1.0):
        if metric.name == "edgecam_temperature_celsius":
            continue
        ending = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        labels = sorted({label for sample in metric.samples for label in sample.labels})
        yield f"| `{metric.name}{ending}` | {', '.join(labels)} | {metric.documentation} |\n"
    yield "| `edgecam_temperature_celsius` |  | Of the board's processor. |\n"


def table() -> str:
    return "".join(rows())


def test_every_metric_is_told() -> None:
    assert f"<!-- metrics -->\n{table()}<!-- end -->" in DOCUMENT.read_text(encoding="utf-8")


def test_every_part_of_the_document_and_every_trouble_is_told(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for key in Report(lambda: facts(tmp_path), ManualClock()).document():
        assert f"| `{key}` |" in text
    assert [word for word in TROUBLES.values() if f"| {word} |" not in text] == []
