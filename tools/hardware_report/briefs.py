"""The figures of a step that matter most, in one line; and what an unplugging comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Moments = tuple[float | None, float | None, float | None]


def models(document: list[dict[str, Any]]) -> str:
    """Which are present."""
    return ", ".join(model["name"] for model in document if model["present"]) or "none present"


def pulled(document: list[dict[str, Any]]) -> str:
    """Which were fetched, and which were there."""
    return ", ".join(f"{model['name']} {'fetched' if model['pulled'] else 'here'}" for model in document)


def tpus(document: list[dict[str, Any]]) -> str:
    """Each with its speed, and what speaks against using it."""
    found = [f"{tpu['device']} {tpu['speed'] or '-'} Mbit/s {tpu['trouble']}".strip() for tpu in document]
    return "; ".join(found) or "no Edge TPU found"


def checked(document: list[dict[str, Any]]) -> str:
    """How long each took to open and to infer."""
    return "; ".join(_checked(outcome) for outcome in document)


def cameras(document: dict[str, Any]) -> str:
    """Their names."""
    names = [camera["model"] for camera in document["picamera2"]["cameras"]]
    names += [camera["name"] for camera in document["v4l2"]["cameras"]]
    return ", ".join(names) or "no camera found"


def bench(document: dict[str, Any]) -> str:
    """Bare, through the pipeline, and live."""
    bare, pipeline, live = document["bare"], document["pipeline"], document["live"]
    return (
        f"{document['detector']['model']} on {document['detector']['device']}: bare {bare['fps']:.1f} fps"
        f" (p50 {_ms(bare['invoke']['p50'])}), pipeline {pipeline['fps']:.1f} fps; of {live['frames_captured']} live"
        f" frames {live['frames_analysed']} analysed, {live['frames_dropped']} dropped"
    )


def demo(document: dict[str, Any]) -> str:
    """How fast and how right."""
    shown = document.get("display")
    screen = f"; {shown['state']}, {shown['shown']} shown, {shown['skipped']} skipped" if shown else ""
    right = f"precision {document['precision']:.3f}, recall {document['recall']:.3f}"
    return f"{document['fps']:.1f} fps on {document['device']}, {right}{screen}"


def watched(document: dict[str, Any]) -> str:
    """Rate, losses, latency, load."""
    width, height = document["size"]
    latency = document["latency_analysed"]
    aged = f"; analysed {_ms(latency['p50'])} after the sensor (p95 {_ms(latency['p95'])})" if latency else ""
    counts = ", ".join(f"{document[f'frames_{name}']} {name}" for name in ("captured", "analysed", "dropped"))
    return f"{width}x{height} at {document['fps']:g} fps: {counts}{aged}; {_ms(document['cpu_seconds_per_frame'])} CPU"


def stick_pulled(document: dict[str, Any], device: str) -> tuple[str, str]:
    """What the timeline says of a pulled stick: in short, and what is wrong, "" for nothing."""
    seen = _outage(document["changes"], lambda change: device in change["device"].split(","))
    return _told(seen, document, "the stick")


def monitor_pulled(document: dict[str, Any]) -> tuple[str, str]:
    """The same of a monitor."""
    seen = _outage(document["changes"], lambda change: change["display"].startswith("showing"))
    return _told(seen, document, "the monitor")


def camera_pulled(document: dict[str, Any]) -> tuple[str, str]:
    """The same of a camera, which is silent while it is away."""
    times, pause = document["reopened"], document["longest_pause"]
    if not times:
        return "", f"the camera was not seen to go and to come back; the longest pause was {pause:.1f} s"
    return f"opened again {times} times, {pause:.1f} s without a frame; {_kept(document)}", ""


def _outage(changes: Sequence[dict[str, Any]], well: Callable[[dict[str, Any]], bool]) -> Moments:
    """When all was well, when that ended, and when it was well again, in seconds; None where it never was."""
    rest = iter(changes)

    def next_that_is(*, good: bool) -> float | None:
        return next((change["at"] for change in rest if well(change) is good), None)

    return next_that_is(good=True), next_that_is(good=False), next_that_is(good=True)


def _told(moments: Moments, document: dict[str, Any], what: str) -> tuple[str, str]:
    first, lost, back = moments
    if first is None:
        return "", f"{what} was never in use"
    if lost is None:
        return "", f"{what} was not seen to go"
    if back is None:
        return "", f"{what} went at {lost:.1f} s and was not seen to come back"
    return f"went at {lost:.1f} s, in use again {back - lost:.1f} s later; {_kept(document)}", ""


def _kept(document: dict[str, Any]) -> str:
    counts = ("captured", "dropped", "failed")
    return ", ".join(f"{document[f'frames_{name}']} {name}" for name in counts)


def _checked(outcome: dict[str, Any]) -> str:
    if outcome["error"]:
        return str(outcome["error"])
    return f"{outcome['device']}: open {outcome['open']:.2f} s, invoke {_ms(outcome['invoke'])}, {outcome['runtime']}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
