"""Compares edgecam's tracker with norfair and supervision's ByteTrack on the same detections.

Run it as tools/bench-trackers, which sets up what it needs. docs/tracking.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench_trackers import contenders, scores, seers, stages, timing, videos
from bench_trackers.contenders import ByteTrack, Entry, Norfair, Ours
from edgecam.bundled import models_folder

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST_SEED = 1001
"""Not among the seeds for which peers and constants were tuned."""
RATES = (5, 10, 30)

ENTRIES = (
    Entry("edgecam", "edgecam", "defaults: 3 hits of 5", Ours),
    Entry("edgecam, 2 of 3", "edgecam", "2 hits of 3", lambda rate: Ours(rate, confirm_hits=2, confirm_window=3)),
    Entry("norfair, as Frigate", "norfair", "Frigate's distance 2.5, R 3.4, delay rate/2, 5 s", contenders.frigate),
    Entry("norfair, defaults", "norfair", "iou 0.7, score 0.25, R 4, 3 hits, 1 s", Norfair),
    Entry(
        "norfair, tuned",
        "norfair",
        "iou 0.95, score 0.4, R 4, 2 hits, 1 s",
        lambda rate: Norfair(rate, threshold=0.95, floor=0.4, first=1),
    ),
    Entry("ByteTrack, defaults", "supervision", "activation 0.25, matching 0.8, 30 frames, 1", ByteTrack),
    Entry(
        "ByteTrack, tuned",
        "supervision",
        "activation 0.35, matching 0.9, 1 s, 1",
        lambda rate: ByteTrack(rate, activation=0.35, matching=0.9, patience=1.0),
    ),
)

Film = tuple[stages.Moments, list[seers.Detections]]


def main(arguments: list[str] | None = None) -> None:
    """Run what the options ask for; tables, or one JSON document, on stdout; everything else on stderr."""
    options = parsed(arguments)
    logging.disable(logging.WARNING)
    screen = Console(stderr=True)
    missing = {entry.name: why for entry in ENTRIES if (why := entry.missing)}
    for name, why in missing.items():
        screen.print(f"{name}: left out, it cannot be used here ({why})", markup=False)
    entries = [entry for entry in ENTRIES if entry.name not in missing]
    document: dict[str, Any] = {"machine": machine(), "left_out": missing}
    document["parameters"] = {entry.name: entry.parameters for entry in entries}
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        document["milliseconds"] = timed(entries, options.rounds, bar)
        document["figures"] = compared(entries, options, bar)
        document["videos"] = counted(entries, options.assets, bar)
    if options.json:
        print(json.dumps(document))
    else:
        for table in tables(document):
            (Console() if sys.stdout.isatty() else Console(width=132)).print(table)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="tools/bench-trackers", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--quick", action="store_true", help="one third of everything")
    parser.add_argument("--no-model", action="store_true", help="leave out the detections of the bundled model")
    assets = os.environ.get("EDGECAM_TEST_ASSETS", str(ROOT.parent / "shared"))
    parser.add_argument("--assets", type=Path, default=Path(assets), help="folder with models/ and videos/")
    options = parser.parse_args(arguments)
    options.seconds, options.rounds = (10.0, 3) if options.quick else (30.0, 9)
    return options


def machine() -> dict[str, Any]:
    """What the times were measured on."""
    return {"python": platform.python_version(), "arch": platform.machine(), "load": os.getloadavg()[0]}


def timed(entries: Sequence[Entry], rounds: int, bar: Progress) -> dict[str, dict[str, float]]:
    """Milliseconds by number of objects and name."""
    counts = bar.track((5, 20), description="time")
    return {str(count): timing.milliseconds(entries, count, rounds) for count in counts}


def compared(entries: Sequence[Entry], options: argparse.Namespace, bar: Progress) -> list[dict[str, Any]]:
    """The figures of every tracker for every kind of detections and every rate."""
    task = bar.add_task("render", total=7)
    known = list(stages.stages(FIRST_SEED, 1, options.seconds, lambda: bar.advance(task)))
    sources: list[tuple[str, int, Callable[[int], Iterable[Film]]]] = [
        ("imagined", rate, lambda rate: (imagined(stage, rate) for stage in known)) for rate in RATES
    ]
    if not options.no_model:
        sources += [("bundled model", rate, lambda rate: looked_at(known, rate)) for rate in RATES[:2]]
    task = bar.add_task("compare", total=len(sources) * len(entries))
    rows = []
    for source, rate, films in sources:
        reel = list(films(rate))
        for entry in entries:
            figures = scores.score([(moments, shown(entry, rate, looks)) for moments, looks in reel])
            rows.append({"detections": source, "rate": rate, "tracker": entry.name, **asdict(figures)})
            bar.advance(task)
    return rows


def imagined(stage: stages.Stage, rate: int) -> Film:
    """A stage as the imagined detector sees it."""
    moments = stage.at(rate)
    return moments, seers.imagined(moments, stage.seed, rate)


def looked_at(known: Sequence[stages.Stage], rate: int) -> Iterable[Film]:
    """The stages that have pictures, as the bundled model sees them."""
    detector = seers.opened(models_folder() / "edgecam_demo.tflite")
    try:
        for stage in known:
            if stage.scene is not None:
                yield stage.at(rate), [seers.looked(detector, picture) for picture in stage.pictures(rate)]
    finally:
        detector.close()


def shown(entry: Entry, rate: int, looks: Sequence[seers.Detections]) -> list[list[contenders.Shown]]:
    """What a tracker shows, look by look."""
    at_work = entry.start(rate)
    return [at_work.shown(at_work.update(at_work.prepare(n / rate, found))) for n, found in enumerate(looks)]


def counted(entries: Sequence[Entry], assets: Path, bar: Progress) -> list[dict[str, Any]]:
    """Numbers given in the recorded videos, where there are any."""
    if not (assets / "models" / videos.MODEL).is_file():
        return []
    rows = []
    for film in bar.track(videos.seen(assets), total=len(videos.VIDEOS), description="videos"):
        given = {entry.name: videos.numbers_given(entry, film) for entry in entries}
        rows.append({"video": film.video.name, "label": film.video.label, "passing": film.video.counted, "ids": given})
    return rows


def tables(document: dict[str, Any]) -> Iterable[Table]:
    """The document for people."""
    table = Table("detections", "per s", "tracker", title="Rendered scenes, objects known")
    for name in ("MOTA", "IDF1", "switches", "fragments", "false", "missed", "ids / objects", "ms, 5", "ms, 20"):
        table.add_column(name, justify="right")
    before = ""
    for row in document["figures"]:
        section = f"{row['detections']} {row['rate']}"
        if before not in ("", section):
            table.add_section()
        before = section
        times = [f"{document['milliseconds'][count][row['tracker']]:.3f}" for count in ("5", "20")]
        counts = [str(row[name]) for name in ("switches", "fragments", "false", "missed")]
        rates = [f"{row['mota']:.3f}", f"{row['idf1']:.3f}"]
        ids = f"{row['ids']} / {row['objects']}"
        table.add_row(row["detections"], str(row["rate"]), row["tracker"], *rates, *counts, ids, *times)
    yield table
    if document["videos"]:
        table = Table("tracker", title="Recorded videos: numbers given / objects that pass")
        for row in document["videos"]:
            table.add_column(row["video"], justify="right")
        for name in document["parameters"]:
            table.add_row(name, *(f"{row['ids'][name]} / {row['passing'] or '?'}" for row in document["videos"]))
        yield table


if __name__ == "__main__":
    main()
