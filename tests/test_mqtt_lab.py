"""The MQTT lab, in short: everything must arrive; how fast is for `tools/labs/mqtt` on a quiet machine."""

from __future__ import annotations

from pathlib import Path

import mqtt_lab
import pytest
from mqtt_broker import mosquitto

pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.skipif(mosquitto() is None, reason="no broker: apt-get install mosquitto"),
    pytest.mark.timeout(200),
]


def test_a_message_is_timed_from_its_frame(tmp_path: Path) -> None:
    found = mqtt_lab.latency(tmp_path, seconds=3.0, recording=False)
    assert found["messages"] > 0
    assert 0 < found["beyond_inference"]["p50"] < 5.0


def test_a_frozen_broker_costs_no_frame_and_no_message(tmp_path: Path) -> None:
    found = mqtt_lab.stall(tmp_path, frozen=4.0, before=2.0)
    assert found["messages"] > 0
    assert found["in_order"]
    assert (found["frames_dropped"], found["events_lost"]) == (0, 0)
    assert found["meanwhile"]["captured"] > 0.5 * found["before"]["captured"], "a generous limit, for a busy machine"
