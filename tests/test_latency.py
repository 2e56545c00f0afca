"""Percentiles of the newest values."""

from __future__ import annotations

import threading
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.latency import WINDOW, Latencies, Latency


def test_a_stage_without_values_says_so() -> None:
    assert Latencies("detect", "inference").summary() == {"detect": Latency(), "inference": Latency()}
    assert Latency() == Latency(0, None, None, None)


def test_percentiles_are_values_that_occurred() -> None:
    latencies = Latencies("detect")
    for value in range(100, 0, -1):
        latencies.add("detect", value / 1000)
    assert latencies.summary() == {"detect": Latency(100, 0.050, 0.095, 0.099)}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 60))
def test_at_least_so_many_of_the_newest_are_no_longer(values: list[float], window: int) -> None:
    latencies = Latencies("a", window=window)
    for value in values:
        latencies.add("a", value)
    newest = values[-window:]
    told = latencies.summary()["a"]
    assert told.count == len(values)
    for share, percentile in ((0.5, told.p50), (0.95, told.p95), (0.99, told.p99)):
        assert percentile in newest
        assert sum(value <= percentile for value in newest) >= ceil(share * len(newest))
        assert sum(value < percentile for value in newest) < share * len(newest)


def test_only_the_newest_are_kept_and_all_are_counted() -> None:
    latencies = Latencies("a")
    for value in range(3 * WINDOW):
        latencies.add("a", float(value >= 2 * WINDOW))
    assert latencies.summary()["a"] == Latency(3 * WINDOW, 1.0, 1.0, 1.0)


def test_a_time_before_its_beginning_counts_as_none() -> None:
    latencies = Latencies("a")
    latencies.add("a", -0.001)
    assert latencies.summary()["a"] == Latency(1, 0.0, 0.0, 0.0)


def test_a_stage_that_was_not_named_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Latencies("a").add("b", 1.0)


def test_it_is_read_while_it_is_written() -> None:
    latencies, stop = Latencies("a", window=50), threading.Event()

    def write() -> None:
        while not stop.is_set():
            latencies.add("a", 1.0)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    told = [latencies.summary()["a"] for _ in range(2000)]
    stop.set()
    for writer in writers:
        writer.join()
    counts = [each.count for each in told]
    assert counts == sorted(counts)
    assert {each.p99 for each in told if each.count} <= {1.0}
