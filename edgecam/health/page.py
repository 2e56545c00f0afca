"""What the running edgecam says of itself, as a page for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

Part = tuple[str, Sequence[str], Sequence[Sequence[object]]]
"""A title, what stands over the columns (nothing: names and values), and the rows."""

STAGES = {
    "inference": "the detector's own time",
    "detect": "from a picture until it is analysed",
    "event": "until the journal has its events",
    "output": "until every sink has it",
}
NONE = "-"


def page(document: Mapping[str, Any]) -> list[Part]:
    """The parts of the page, in order. `document` is what `ask` returned."""
    status, stats = document["status"], document["stats"]
    return [
        _heading(status, stats),
        *_reasons(status),
        ("cameras", ("camera", "runs", "detector", "device", "fps", "analysed", "events"), [*_cameras(status, stats)]),
        ("frames", ("camera", "captured", "analysed", "skipped", "failed", "written", "dropped"), [*_frames(stats)]),
        ("milliseconds", ("camera", "stage", "p50", "p95", "p99", "what it is"), [*_latencies(stats)]),
        ("storage", (), [*_storage(document)]),
        ("messages", (), [*_messages(status, stats)]),
        ("machine", (), [*_machine(document)]),
        ("processes", ("pid", "name", "memory", "CPU time", "threads"), [*_processes(document["process"])]),
        ("versions", (), [*document["process"]["versions"].items()]),
    ]


def size(count: float | None) -> str:
    """Bytes as people read them: "1.5 GB"; "-" for None."""
    if count is None:
        return NONE
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def length(seconds: float | None) -> str:
    """A duration as people read it: "3 d 4 h"; "-" for None."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1440:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _heading(status: Mapping[str, Any], stats: Mapping[str, Any]) -> Part:
    uptime = length(stats["process"]["uptime"])
    since = _moment(status["since"])
    return (f"edgecam {status['version']['edgecam']} is {status['status']} since {since}, up {uptime}", (), ())


def _reasons(status: Mapping[str, Any]) -> Iterator[Part]:
    for reason in status["reasons"]:
        yield (f"! {reason}", (), ())


def _cameras(status: Mapping[str, Any], stats: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    for name, camera in status["cameras"].items():
        figures, detector = stats["cameras"].get(name), camera["detector"]
        lost = camera["camera"]["lost_since"]
        yield (
            name,
            "yes" if lost is None else f"lost since {_moment(lost)}",
            detector["model"] or NONE,
            (detector["device"] or NONE) if camera["switches"]["detect"] else "switched off",
            figures["fps"]["captured"] if figures else NONE,
            figures["fps"]["analysed"] if figures else NONE,
            figures["counters"]["events"] if figures else NONE,
        )


def _frames(stats: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    for name, camera in stats["cameras"].items():
        counts = camera["counters"]
        stages = ("captured", "analysed", "skipped", "failed", "written", "dropped")
        yield (name, *(counts[f"frames_{stage}"] for stage in stages))


def _latencies(stats: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    for name, camera in stats["cameras"].items():
        for stage, meaning in STAGES.items():
            yield (name, stage, *_percentiles(camera["latencies"][stage]), meaning)
    if stats["mqtt"]["publish"]["count"]:
        yield ("", "publish", *_percentiles(stats["mqtt"]["publish"]), "until the broker has an event")


def _percentiles(latency: Mapping[str, Any]) -> Iterator[str]:
    for name in ("p50", "p95", "p99"):
        yield NONE if latency[name] is None else f"{latency[name] * 1000:.1f}"


def _storage(document: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    disk, storage = document["status"]["disk"], document["storage"]
    yield ("disk", f"{size(disk['free_bytes'])} of {size(disk['total_bytes'])} free at {disk['path']}")
    yield ("clips", size(storage["stored_bytes"]))
    yield ("deleted", f"{storage['deleted']} clips, {size(storage['deleted_bytes'])}")
    yield ("written", f"{size(storage['written_bytes'])}, {size(storage['written_per_day'])} a day")


def _messages(status: Mapping[str, Any], stats: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    spool, mqtt = status["spool"], stats["mqtt"]
    oldest = "" if spool["oldest_age"] is None else f", the oldest for {length(spool['oldest_age'])}"
    yield ("waiting", f"{spool['messages']}{oldest}")
    yield ("lost", f"{spool['lost']}, and {status['events_lost']} that could be recorded nowhere")
    yield ("sent", f"{mqtt['sent']}, {mqtt['acknowledged']} acknowledged")


def _machine(document: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    board, process = document["board"], document["stats"]["process"]
    temperature = board["temperature_celsius"]
    yield ("board", f"{board['model'] or 'unknown'}, up {length(board['uptime'])}")
    yield ("temperature", NONE if temperature is None else f"{temperature:.1f} °C")
    yield ("power", _power(board))
    yield ("memory", size(process["rss_bytes"]))
    yield ("CPU", f"{process['cpu']:.2f} cores")
    yield ("clock", "right" if document["status"]["clock_synced"] else "not known to be right")


def _power(board: Mapping[str, Any]) -> str:
    if not board["watched"]:
        return "not watched by this board"
    now = [f"{word} since {_moment(since)}" for word, since in board["throttled"].items()]
    before = [word for word in board["throttled_before"] if word not in board["throttled"]]
    return "; ".join([*now, *(f"before: {word}" for word in before)]) or "fine"


def _processes(process: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    for each in process["processes"]:
        yield (each["pid"], each["name"], size(each["rss_bytes"]), length(each["cpu"]), each["threads"])


def _moment(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix).astimezone():%Y-%m-%d %H:%M:%S}"
