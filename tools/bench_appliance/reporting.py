"""The takes of all rounds put together, as a document and as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from math import isnan
from statistics import median
from typing import Any

from rich.table import Table

from bench_appliance import goals, growth
from bench_appliance.goals import Goal
from bench_appliance.memory import Mapping
from bench_appliance.takes import Take, percentiles

Document = dict[str, Any]
SIZES = ("rss_bytes", "pss_bytes", "private_bytes")
_FEW_BYTES = 1_000_000
_SMALL_CHANGE_BYTES = 20_000
_LITTLE_CPU = 0.00001


def summed_up(takes: Sequence[Take]) -> Document:
    """The rounds of one setting: medians over them; the delays are those of all rounds together."""
    beyond = [delay - take.bare.wall for take in takes for delay in take.delays]
    return {
        "bare": {name: median(getattr(take.bare, name) for take in takes) for name in ("wall", "cpu")},
        "frames": {name: sum(take.frames[name] for take in takes) for name in takes[0].frames},
        "analysed": median(take.analysed for take in takes),
        "cpu": median(take.cpu for take in takes),
        "multiple": median(take.multiple for take in takes),
        "threads": _threads(takes),
        "beyond": percentiles(beyond),
        "messages": {name: sum(take.messages[name] for take in takes) for name in takes[0].messages},
        "messages_per_second": sum(map(len, (take.delays for take in takes))) / sum(take.span for take in takes),
        "stages": {name: _stage([take.stages[name] for take in takes]) for name in takes[0].stages},
        "memory": made_of([take.memory for take in takes]),
    }


def _threads(takes: Sequence[Take]) -> list[Document]:
    names = {name for take in takes for name in take.threads}
    rows = [
        {"thread": name}
        | {
            count: median(getattr(take.threads[name], count) if name in take.threads else 0.0 for take in takes)
            for count in ("cpu", "faults", "switches")
        }
        for name in names
    ]
    return sorted(rows, key=lambda row: -row["cpu"])


def _stage(rounds: Sequence[Document]) -> Document:
    return {
        name: median(one[name] for one in rounds) if all(one[name] is not None for one in rounds) else None
        for name in ("p50", "p95", "p99")
    }


def made_of(held: Sequence[Sequence[Mapping]]) -> Document:
    """What the memory is made of, the most first; medians where it was looked at more than once."""
    kinds = {(mapping.process, mapping.kind) for one in held for mapping in one}
    rows: list[Document] = [
        {"process": process, "kind": kind}
        | {size: median(_sum(one, size, process, kind) for one in held) for size in SIZES}
        for process, kind in kinds
    ]
    rows.sort(key=lambda row: -row["rss_bytes"])
    return {size: median(_sum(one, size) for one in held) for size in SIZES} | {"kinds": rows}


def _sum(held: Sequence[Mapping], size: str, process: str = "", kind: str = "") -> int:
    return sum(getattr(each, size) for each in held if process in ("", each.process) and kind in ("", each.kind))


def reached(document: Document) -> list[Goal]:
    """The goals that the document has figures for."""
    found, settings = [], document.get("settings", {})
    for name, most in (("cpu", goals.MULTIPLE), ("cpu, recording", goals.MULTIPLE_RECORDING)):
        if one := settings.get(name):
            found.append(Goal(f"CPU of a frame, {name}", one["multiple"], most, "x the bare invoke", _is_sure(one)))
    if one := settings.get("cpu, recording"):
        for rank, most in (("p50", goals.BEYOND_P50), ("p99", goals.BEYOND_P99)):
            name = f"frame to message, beyond inference, {rank}"
            found.append(Goal(name, 1000 * one["beyond"][rank], 1000 * most, "ms", _is_sure(one)))
    if one := settings.get("edge tpu, recording"):
        found.append(Goal("RSS of all processes", one["memory"]["rss_bytes"] / 1e6, goals.RSS_BYTES / 1e6, "MB"))
    if "growth" in document:
        found.append(Goal("growth of RSS", 100 * document["growth"]["grown"], 100 * goals.GROWN, "%"))
    return found


def _is_sure(one: Document) -> bool:
    return bool(one["analysed"] >= goals.LEAST_ANALYSED)


def grown(found: growth.Growth) -> Document:
    """Growth as a part of the document."""
    points = [point._asdict() for point in found.points]
    held = {"before": made_of([found.before]), "after": made_of([found.after])}
    return asdict(found) | {"grown": found.grown, "points": points} | held


def plain(value: Any) -> Any:
    """The same, as JSON has it: what is no number is null."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value


def tables(document: Document) -> Iterator[Table]:
    """The document for people."""
    settings = document.get("settings", {})
    if settings:
        yield _costs(settings)
        yield _stages(settings)
        yield from (_thread_table(name, one) for name, one in settings.items())
        yield from (_memory_table(name, one["memory"]) for name, one in settings.items() if "recording" in name)
    if "growth" in document:
        yield _curve(document["growth"])
        yield _memory_table("at the end", document["growth"]["after"])
        yield _change(document["growth"])
    table = Table("goal", title="Asked for")
    for name in ("is", "at most", "", "reached"):
        table.add_column(name, justify="right")
    for goal in reached(document):
        answer = ("yes" if goal.reached else "no") if goal.sure else "too busy to tell"
        table.add_row(goal.name, f"{goal.value:.2f}", f"{goal.most:g}", goal.unit, answer)
    yield table


def _costs(settings: Document) -> Table:
    table = Table("ms", title="A frame, and its way to an MQTT message beyond one bare invoke")
    for name in ("bare, clock", "bare, CPU", "CPU a frame", "multiple", "analysed", "p50", "p95", "p99", "messages/s"):
        table.add_column(name, justify="right")
    for name, one in settings.items():
        figures = [one["bare"]["wall"], one["bare"]["cpu"], one["cpu"]]
        beyond = [one["beyond"][rank] for rank in ("p50", "p95", "p99")]
        table.add_row(
            name,
            *(f"{1000 * seconds:.2f}" for seconds in figures),
            f"{one['multiple']:.2f}",
            f"{one['analysed']:.0%}" + ("" if _is_sure(one) else " (!)"),
            *(f"{1000 * seconds:.2f}" for seconds in beyond),
            f"{one['messages_per_second']:.1f}",
        )
    return table


def _stages(settings: Document) -> Table:
    table = Table("ms: p50, p95, p99", title="edgecam's own account: inference; from a frame's timestamp to the others")
    names = list(next(iter(settings.values()))["stages"])
    for name in names:
        table.add_column(name, justify="right")
    for setting, one in settings.items():
        ranks = [[one["stages"][name][rank] or 0.0 for rank in ("p50", "p95", "p99")] for name in names]
        table.add_row(setting, *(", ".join(f"{1000 * seconds:.1f}" for seconds in each) for each in ranks))
    return table


def _thread_table(name: str, one: Document) -> Table:
    table = Table("process, thread", title=f"{name}: a frame, thread by thread")
    for column in ("CPU, ms", "of bare invoke", "page faults", "context switches"):
        table.add_column(column, justify="right")
    for row in one["threads"]:
        if row["cpu"] >= _LITTLE_CPU:
            share = row["cpu"] / one["bare"]["cpu"]
            counts = (f"{row['faults']:.1f}", f"{row['switches']:.1f}")
            table.add_row(row["thread"], f"{1000 * row['cpu']:.3f}", f"{share:.3f}", *counts)
    return table


def _memory_table(name: str, held: Document) -> Table:
    table = Table("process", "kind of memory", title=f"{name}: memory, MB")
    for column in ("RSS", "PSS", "private"):
        table.add_column(column, justify="right")
    rows: Iterable[Document] = (row for row in held["kinds"] if row["rss_bytes"] >= _FEW_BYTES)
    for row in ({"process": "all", "kind": ""} | held, *rows):
        sizes = (row["rss_bytes"], row["pss_bytes"], row["private_bytes"])
        table.add_row(row["process"], row["kind"], *(f"{size / 1e6:.1f}" for size in sizes))
    return table


def _curve(found: Document) -> Table:
    table = Table("frames", title="Memory over the frames")
    for column in ("seconds", "RSS, MB"):
        table.add_column(column, justify="right")
    for point in growth.curve([growth.Point(**point) for point in found["points"]], 20):
        table.add_row(str(point.frames), f"{point.elapsed:.0f}", f"{point.rss_bytes / 1e6:.2f}")
    table.caption = (
        f"from {found['begin_bytes'] / 1e6:.2f} to {found['end_bytes'] / 1e6:.2f} MB after the warm-up; "
        f"{found['slope_bytes']:+.0f} bytes for a thousand frames; "
        + ", ".join(f"{name} {count}" for name, count in found["counters"].items())
    )
    return table


def _change(found: Document) -> Table:
    """What has grown since the warm-up, the most first."""
    table = Table("process", "kind of memory", title="Changes since the warm-up, MB")
    table.add_column("RSS", justify="right")
    before = {(row["process"], row["kind"]): row["rss_bytes"] for row in found["before"]["kinds"]}
    changes = [
        (row["rss_bytes"] - before.get((row["process"], row["kind"]), 0), row["process"], row["kind"])
        for row in found["after"]["kinds"]
    ]
    for change, process, kind in sorted(changes, reverse=True):
        if abs(change) >= _SMALL_CHANGE_BYTES:
            table.add_row(process, kind, f"{change / 1e6:+.2f}")
    return table
