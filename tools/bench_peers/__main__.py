"""Runs edgecam, and what one would run instead, on the same clip and with the same model, in turn.

Run it as tools/bench-peers, which sets up what it needs. docs/peers.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench_peers import measuring, peers
from bench_peers.broker import Listener, broker
from bench_peers.environments import Environment, Unavailable, folder_of_peers, python_of
from bench_peers.film import FPS, LENGTH, film
from bench_peers.measuring import START, WARM
from bench_peers.peers import ENTRIES, LITERT, Entry, Order, Way
from bench_peers.results import Bare, Findings, row, tables
from edgecam.benchmark.machine import this_machine

CLIP = "intel_one-by-one-person-detection.mp4"
MODEL, LABELS = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite", "coco_labels.txt"
LONGEST = LENGTH - WARM - 10
PIECES = Environment(
    "pieces",
    ("opencv-python-headless", "scipy", "matplotlib", "pillow", "pyyaml", "requests", "tqdm", "defusedxml", "rich"),
    alone=("norfair==2.3.0", "filterpy==1.4.5", "supervision==0.26.1"),
)
Tick = Callable[[], object]


def main(arguments: list[str] | None = None) -> None:
    """Run what the options ask for; tables, or one JSON document, on stdout; everything else on stderr."""
    options = parsed(arguments)
    logging.disable(logging.WARNING)
    screen = Console(stderr=True)
    entries = [entry for entry in ENTRIES if any(word.lower() in entry.name.lower() for word in options.only)]
    try:
        document = compared(entries, options, screen)
    except Unavailable as error:
        sys.exit(f"edgecam: {error}")
    if options.json:
        print(json.dumps(document))
    else:
        for table in tables(document):
            (Console() if sys.stdout.isatty() else Console(width=150)).print(table)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="tools/bench-peers", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="so often, in turn (default 5)")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S", help="of each measurement (default 8)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="only whose names have one of these")
    parser.add_argument("--ways", nargs="+", type=Way, default=list(Way), choices=list(Way), help="only these ways")
    parser.add_argument("--no-pieces", action="store_true", help="without tracking and drawing by themselves")
    assets = Path(os.environ.get("EDGECAM_TEST_ASSETS", peers.ROOT.parent / "shared"))
    parser.add_argument("--clip", type=Path, default=assets / "videos" / CLIP, help="any video with people in it")
    parser.add_argument("--model", type=Path, default=assets / "models" / MODEL, help="an SSD for the CPU, uint8")
    parser.add_argument("--labels", type=Path, help="its labels (default: coco_labels.txt beside it)")
    options = parser.parse_args(arguments)
    if options.labels is None and (beside := options.model.with_name(LABELS)).is_file():
        options.labels = beside
    for name in ("clip", "model", "labels"):
        path = getattr(options, name)
        if path is not None and not path.is_file():
            parser.error(f"--{name} {path}: there is no such file")
        setattr(options, name, path and path.resolve())
    if not 1 <= options.seconds <= LONGEST or options.rounds < 1:
        parser.error(f"--seconds from 1 to {LONGEST:g}, --rounds from 1")
    return options


def compared(entries: Sequence[Entry], options: argparse.Namespace, screen: Console) -> dict[str, Any]:
    """Everything, as one document. Raises Unavailable where nothing at all can be measured."""
    findings = {entry.name: Findings() for entry in entries}
    jobs = [(entry, way) for entry in entries for way in entry.ways if way in options.ways]
    bares: list[Bare] = []
    with ExitStack() as opened:
        bar = opened.enter_context(Progress(console=screen, disable=not screen.is_terminal, refresh_per_second=1))
        task = bar.add_task("clip", total=LENGTH * FPS)
        clip = film(options.clip, folder_of_peers(), tick=lambda: bar.advance(task))
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="edgecam-peers-")))
        port = opened.enter_context(broker(folder))
        round_of = _Round(options, clip, folder, Listener(port), port)
        task = bar.add_task("measure", total=options.rounds * (len(jobs) + 1))
        for number in range(options.rounds):
            bar.update(task, description=f"round {number + 1}, bare invoke")
            bares.append(round_of.bare(entries))
            bar.advance(task)
            turn = number % max(1, len(jobs))
            for entry, way in (*jobs[turn:], *jobs[:turn]):
                bar.update(task, description=f"round {number + 1}, {entry.name}, {way}")
                said = _note(findings[entry.name], way, bares[-1], partial(round_of.measure, entry, way))
                bar.console.print(
                    f"round {number + 1}: {entry.name}, {way}: {said}", markup=False, highlight=False, soft_wrap=True
                )
                bar.advance(task)
    document: dict[str, Any] = {"machine": asdict(this_machine()), "load": os.getloadavg()[0]}
    document |= {"clip": options.clip.name, "model": options.model.name, "seconds": options.seconds}
    document |= {"rounds": options.rounds, "bare": _middle(bares)}
    document["rows"] = [row(entry, findings[entry.name]) for entry in entries]
    if not options.no_pieces:
        document["pieces"] = pieces(options.rounds)
    return document


class _Round:
    """What all measurements have in common."""

    def __init__(self, options: argparse.Namespace, clip: Path, folder: Path, listener: Listener, port: int) -> None:
        self._options = options
        self._clip = clip
        self._folder = folder
        self._listener = listener
        self._port = port
        self._refused: dict[str, str] = {}

    def bare(self, entries: Sequence[Entry]) -> Bare:
        """The bare loop of each runtime, for 3 seconds. Raises Unavailable where there is none with LiteRT."""
        found = {}
        for runtime in dict.fromkeys((LITERT, *(entry.runtime or LITERT for entry in entries))):
            try:
                with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                    order = self._order(Entry("", "", peers.single_loop, (), runtime), Way.FREE, Path(folder))
                    found[runtime] = measuring.bare(peers.bare_invoke(order, 3.0))
            except Unavailable as error:
                if runtime == LITERT:
                    raise
                self._refused[runtime] = str(error)
        return found

    def measure(self, entry: Entry, way: Way) -> measuring.Measured:
        """One measurement. Raises Unavailable."""
        if refused := self._refused.get(entry.runtime):
            raise Unavailable(refused)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            program = entry.program(self._order(entry, way, Path(folder)))
            if way is not Way.TOLD:
                return measuring.measure(program, Path(folder), self._options.seconds)
            self._listener.start()
            try:
                measured = measuring.measure(program, Path(folder), self._options.seconds, self._listener)
            finally:
                self._listener.stop()
        if not measured.told:
            raise Unavailable("no message of a detection came")
        return measured

    def _order(self, entry: Entry, way: Way, folder: Path) -> Order:
        options = self._options
        given = (self._clip, options.model, options.labels, folder, folder_of_peers(), self._port)
        return Order(way, entry.runtime or LITERT, entry.recording, *given)


def _note(findings: Findings, way: Way, bare: Bare, measure: Callable[[], measuring.Measured]) -> str:
    """Measure, unless it was seen not to be possible; what stands in the way is noted. What came of it, in words."""
    if way in findings.why and way not in findings.rounds:
        return findings.why[way]
    try:
        found = measure()
    except Unavailable as error:
        findings.why[way] = str(error)
        return str(error)
    findings.add(way, bare, found)
    return f"{found.frames / found.seconds:.1f} fps, {1000 * found.cpu / found.frames:.1f} ms of CPU time a frame"


def _middle(bares: Sequence[Bare]) -> dict[str, dict[str, float]]:
    return {
        runtime: {name: median(each[runtime][name] for each in bares) for name in ("invoke", "cpu")}
        for runtime in bares[0]
        if all(runtime in each for each in bares)
    }


def pieces(rounds: int) -> dict[str, Any]:
    """Tracking and drawing by themselves; why not, where they cannot be measured."""
    nothing: dict[str, Any] = {"tracking": {"5": {}, "20": {}}, "drawing": {}}
    try:
        python = python_of(PIECES, folder_of_peers())
    except Unavailable as error:
        return {**nothing, "missing": {"all": str(error)}}
    search = {"PYTHONPATH": f"{peers.ROOT}:{peers.ROOT / 'tools'}"}
    command: list[str | Path] = [python, peers.INSIDE / "pieces.py", str(2 * rounds + 1)]
    done = subprocess.run(
        command, env={**os.environ, **search}, capture_output=True, text=True, timeout=10 * START, check=False
    )
    if done.returncode:
        return {**nothing, "missing": {"all": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
