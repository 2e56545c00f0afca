"""From what was measured, round by round, to the document and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Any

from rich.table import Table

from bench_peers.broker import Told
from bench_peers.measuring import Measured
from bench_peers.peers import LITERT, Entry, Way

Bare = Mapping[str, Mapping[str, float]]
"""By runtime: `invoke` and `cpu`, seconds of each bare invoke."""
COLUMNS = ("fps", "at 30", "CPU ms", "x bare", "PSS MB", "RSS MB", "procs", "MQTT p50 ms", "p95", "beyond")


@dataclass(slots=True)
class Findings:
    """What came of one entry: by way, for each round that bore fruit, the bare loop's and its own; and why not."""

    rounds: dict[Way, list[tuple[Bare, Measured]]] = field(default_factory=dict)
    why: dict[Way, str] = field(default_factory=dict)

    def add(self, way: Way, bare: Bare, measured: Measured) -> None:
        """One more round."""
        self.rounds.setdefault(way, []).append((bare, measured))


def row(entry: Entry, findings: Findings) -> dict[str, Any]:
    """One entry's figures, each the median of its rounds; None where there are none. Durations in seconds.

    `fps` is free running, `paced_fps` at 30 a second, where `cpu` is the CPU time of a processed frame, `ratio` that by
    the bare invoke's of the same round and runtime (LiteRT's where it has a runtime of its own), and the memory was
    taken. `mqtt`: from the frame's time to the message about it, with every frame told; `beyond`: its p50 less the bare
    invoke. `rounds` has what the medians are of; `why` says for each way what stood in its way, `failed` the same of
    single rounds.
    """
    free, paced, told = (findings.rounds.get(way, []) for way in (Way.FREE, Way.PACED, Way.TOLD))
    runtime = entry.runtime or LITERT
    costs = [(each.cpu / each.frames, bare[runtime]["cpu"]) for bare, each in paced]
    delays = [(_spread(each.told), bare[runtime]["invoke"]) for bare, each in told]
    return {
        "name": entry.name,
        "does": entry.does,
        "fps": _median(each.frames / each.seconds for _, each in free),
        "paced_fps": _median(each.frames / each.seconds for _, each in paced),
        "cpu": _median(cost for cost, _ in costs),
        "ratio": _median(cost / least for cost, least in costs),
        "pss_bytes": _median(float(each.pss_bytes) for _, each in paced),
        "rss_bytes": _median(float(each.rss_bytes) for _, each in paced),
        "processes": _median(float(each.processes) for _, each in paced),
        "mqtt": {name: _median(spread[name] for spread, _ in delays) for name in ("messages", "p50", "p95")},
        "beyond": _median(spread["p50"] - least for spread, least in delays),
        "rounds": {way: [_round(bare[runtime], each) for bare, each in both] for way, both in findings.rounds.items()},
        "why": {way: text for way, text in findings.why.items() if way not in findings.rounds},
        "failed": {way: text for way, text in findings.why.items() if way in findings.rounds},
    }


def _round(bare: Mapping[str, float], each: Measured) -> dict[str, float]:
    """One round, and its bare invoke."""
    figures = {"fps": each.frames / each.seconds, "cpu": each.cpu / each.frames}
    figures |= {"bare_cpu": bare["cpu"], "bare_invoke": bare["invoke"], "pss_bytes": float(each.pss_bytes)}
    return {name: round(value, 6) for name, value in figures.items()}


def _spread(told: Sequence[Told]) -> dict[str, float]:
    """Percentiles by nearest rank: each is a value that occurred."""
    ranked = sorted(each.came - each.frame_time for each in told)
    p50, p95 = (ranked[ceil(share * len(ranked)) - 1] for share in (0.50, 0.95))
    return {"messages": float(len(ranked)), "p50": p50, "p95": p95}


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(median(known), 6) if known else None


def tables(document: Mapping[str, Any]) -> Iterable[Table]:
    """The document for people."""
    yield _whole(document)
    if pieces := document.get("pieces"):
        yield _pieces(pieces)


def _whole(document: Mapping[str, Any]) -> Table:
    bare = ", ".join(
        f"{runtime} {1000 * each['invoke']:.2f} ms ({1000 * each['cpu']:.2f} ms CPU)"
        for runtime, each in document["bare"].items()
    )
    table = Table("peer", "does", title=f"{document['clip']}, {document['model']}; bare invoke: {bare}")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for each in document["rows"]:
        table.add_row(each["name"], each["does"], *_cells(each))
    whys = [f"{each['name']}, {way}: {text}" for each in document["rows"] for way, text in each["why"].items()]
    table.caption = "\n".join(whys) or None
    return table


def _cells(each: Mapping[str, Any]) -> list[str]:
    mqtt = each["mqtt"]
    return [
        _shown(each["fps"], 1, 1),
        _shown(each["paced_fps"], 1, 1),
        _shown(each["cpu"], 1000, 1),
        _shown(each["ratio"], 1, 2),
        _shown(each["pss_bytes"], 1e-6, 0),
        _shown(each["rss_bytes"], 1e-6, 0),
        _shown(each["processes"], 1, 0),
        _shown(mqtt["p50"], 1000, 1),
        _shown(mqtt["p95"], 1000, 1),
        _shown(each["beyond"], 1000, 1),
    ]


def _shown(value: float | None, times: float, digits: int) -> str:
    return "-" if value is None else f"{value * times:.{digits}f}"


def _pieces(pieces: Mapping[str, Any]) -> Table:
    table = Table("by itself", title="Tracking, and drawing 5 boxes with labels on 1280x720: ms of CPU time")
    for name in ("track 5", "track 20", "draw 5"):
        table.add_column(name, justify="right")
    tracking, drawing = pieces["tracking"], pieces["drawing"]
    for name in dict.fromkeys((*tracking["5"], *tracking["20"], *drawing)):
        values = (tracking["5"].get(name), tracking["20"].get(name), drawing.get(name))
        table.add_row(name, *(_shown(value, 1, 3) for value in values))
    table.caption = "\n".join(f"{name}: {why}" for name, why in pieces["missing"].items()) or None
    return table
