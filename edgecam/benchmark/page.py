"""A benchmark as one HTML file that needs nothing else: figures, and plots as inline SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import log10
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .15rem .8rem .15rem 0; text-align: right; border-bottom: 1px solid #dde3ea }
td:first-child, th:first-child { text-align: left }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
.note { color: #5a6675 }
@media (prefers-color-scheme: dark) { body { background: #12171e; color: #dbe3ec } td, th { border-color: #2b3541 } }
"""
_OURS, _LIMIT, _GRID = "#2f81d6", "#9aa7b5", "#8894a2"
_LEFT, _WIDE, _ROW = 190, 820, 34


def page(document: Mapping[str, Any]) -> str:
    """The page of a report's document (see `Report.document` and `SeveralReport.document`)."""
    return _html(_several_parts(document) if "limit" in document else _parts(document))


def _parts(document: Mapping[str, Any]) -> list[str]:
    machine, detector, plan = document["machine"], document["detector"], document["plan"]
    facts = {
        "machine": f"{machine['board'] or machine['cpu']}, {machine['cores']} cores, {machine['system']}",
        "software": f"edgecam {machine['edgecam']}, Python {machine['python']}, {detector['runtime']}",
        "model": f"{detector['model']} on {detector['device']}",
        "measured": f"{plan['seconds']:g} s in {plan['rounds']} rounds, live at {plan['fps']:g} fps",
    }
    stages = document["stages"]
    return [
        "<h1>edgecam bench</h1>",
        _table(("", ""), facts.items()),
        "<h2>Frames per second</h2>",
        _bars([(part, document[part]["fps"], None) for part in ("bare", "host", "pipeline")], "fps"),
        "<h2>CPU time a frame, stage by stage</h2>",
        '<p class="note">Blue: edgecam. Grey: its limit, the same work done by a library alone, in turn with it.</p>',
        _bars([(each["name"], 1000 * each["cpu"], 1000 * each["limit_cpu"]) for each in stages], "ms"),
        _stage_table(stages),
        "<h2>How long each stage takes</h2>",
        '<p class="note">From p50 over p95 to p99, by the clock, on a scale of powers of ten.</p>',
        _spreads([(each["name"], each["duration"]) for each in stages]),
        "<h2>The rest</h2>",
        _table(("", ""), _rest(document).items()),
    ]


def _several_parts(document: Mapping[str, Any]) -> list[str]:
    machine, detector, plan, cameras = (document[part] for part in ("machine", "detector", "plan", "cameras"))
    facts = {
        "machine": f"{machine['board'] or machine['cpu']}, {machine['cores']} cores, {machine['system']}",
        "software": f"edgecam {machine['edgecam']}, Python {machine['python']}, {detector['runtime']}",
        "model": f"{detector['model']} on {detector['device']}",
        "measured": f"{plan['seconds']:g} s in {plan['rounds']} rounds, each camera at {plan['fps']:g} fps",
    }
    return [
        "<h1>edgecam bench: several cameras</h1>",
        _table(("", ""), facts.items()),
        "<h2>Inferences a second</h2>",
        '<p class="note">Blue: all cameras together. Grey: as many as the devices can, or as many frames as come.</p>',
        _bars([(_cameras(each["cameras"]), each["fps"], each["possible"]) for each in cameras], "a second"),
        "<h2>What each gets</h2>",
        _bars([(f"camera {number + 1}", fps, None) for number, fps in enumerate(cameras[-1]["each"])], "a second"),
        "<h2>CPU time outside inference</h2>",
        _bars([(_cameras(each["cameras"]), each["cores"], None) for each in cameras], "cores"),
        "<h2>Memory of all processes</h2>",
        _bars([(_cameras(each["cameras"]), each["rss_bytes"] / 1e6, None) for each in cameras], "MB"),
        "<h2>The others, when one stalls or dies</h2>",
        '<p class="note">Blue: inferences a second of all the others since. Grey: before.</p>',
        _bars([(f"one {each['trouble']}", each["since"], each["before"]) for each in document["troubles"]], "a second")
        if document["troubles"]
        else "<p>There is only one.</p>",
    ]


def _cameras(number: int) -> str:
    return f"{number} camera{'s' * (number > 1)}"


def _html(parts: Iterable[str]) -> str:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}<title>edgecam bench</title><style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"


def _stage_table(stages: Iterable[Mapping[str, Any]]) -> str:
    header = ("stage", "CPU ms", "limit ms", "ratio", "p50 ms", "p95 ms", "p99 ms", "limit")
    rows = [
        (
            each["name"],
            *(f"{1000 * value:.3f}" for value in (each["cpu"], each["limit_cpu"])),
            f"{each['ratio']:.2f}",
            *(f"{1000 * each['duration'][key]:.3f}" for key in ("p50", "p95", "p99")),
            each["against"],
        )
        for each in stages
    ]
    return _table(header, rows)


def _rest(document: Mapping[str, Any]) -> dict[str, str]:
    cpu, memory, start, live = (document[part] for part in ("cpu", "memory", "start", "live"))
    return {
        "CPU time of a 720p frame": f"{1000 * cpu['per_frame']:.2f} ms; a copy, a small picture and five boxes with"
        f" plain calls {1000 * cpu['floor']:.2f} ms",
        "copies and page faults a frame": f"{cpu['copies']:.1f}, {cpu['faults']:.1f}",
        "frame to analysis beyond the invoke": f"p50 {1000 * live['overhead']['p50']:.2f} ms,"
        f" p99 {1000 * live['overhead']['p99']:.2f} ms",
        "memory": f"{memory['rss_bytes'] / 1e6:.0f} MB, {memory['growth_bytes'] / 1e6:+.1f} MB while it ran",
        "start": f"{start['seconds']:.2f} s, a bare detector process {start['bare']:.2f} s",
    }


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header) if any(header) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _bars(rows: Sequence[tuple[str, float, float | None]], unit: str) -> str:
    """A bar for each figure, and a grey one below it for its limit."""
    most = max(max(ours, least or 0.0) for _, ours, least in rows) or 1.0
    scale = (_WIDE - _LEFT - 90) / most
    shapes = []
    for number, (name, ours, least) in enumerate(rows):
        top = number * _ROW
        shapes.append(_text(0, top + 17, name))
        shapes.append(_bar(top + 5, ours * scale, 14 if least is None else 10, _OURS))
        if least is not None:
            shapes.append(_bar(top + 16, least * scale, 6, _LIMIT))
        shapes.append(_text(_LEFT + max(ours, least or 0.0) * scale + 8, top + 17, f"{ours:.3g} {unit}"))
    return _svg(shapes, len(rows) * _ROW)


def _spreads(rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """A line from p50 to p99 with a tick at p95, for each."""
    values = [max(1e-7, spread[key]) for _, spread in rows for key in ("p50", "p99")]
    low, high = int(log10(min(values)) - 1), int(log10(max(values)) + 1)
    step = (_WIDE - _LEFT - 40) / max(1, high - low)

    def place(seconds: float) -> float:
        return _LEFT + (log10(max(1e-7, seconds)) - low) * step

    bottom = len(rows) * _ROW
    shapes = [
        f'<path d="M{place(10.0**power):.1f} 0V{bottom}" stroke="{_GRID}" stroke-width=".5"/>'
        + _text(place(10.0**power) - 12, bottom + 16, f"{1000 * 10.0**power:g} ms")
        for power in range(low, high + 1)
    ]
    for number, (name, spread) in enumerate(rows):
        middle = number * _ROW + 14
        p50, p95, p99 = (place(spread[key]) for key in ("p50", "p95", "p99"))
        shapes.append(_text(0, middle + 4, name))
        shapes.append(f'<path d="M{p50:.1f} {middle}H{p99:.1f}" stroke="{_OURS}" stroke-width="3"/>')
        shapes.append(f'<path d="M{p95:.1f} {middle - 6}v12" stroke="{_OURS}" stroke-width="2"/>')
        shapes.append(f'<circle cx="{p50:.1f}" cy="{middle}" r="5" fill="{_OURS}"/>')
    return _svg(shapes, bottom + 22)


def _bar(top: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{height}" rx="2" fill="{colour}"/>'


def _text(left: float, base: float, text: str) -> str:
    return f'<text x="{left:.1f}" y="{base}">{escape(text)}</text>'


def _svg(shapes: Sequence[str], height: float) -> str:
    return f'<svg viewBox="0 0 {_WIDE} {height}" role="img">{"".join(shapes)}</svg>'
