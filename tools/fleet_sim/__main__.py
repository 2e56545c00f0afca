"""Simulates a fleet of appliances on one mosquitto, with the product's own publisher, and says what gives first.

Run it as tools/fleet-sim, which sets up what it needs. docs/fleet.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edgecam.errors import EdgecamError
from fleet_sim import broker, simulation
from fleet_sim.appliance import scene_picture

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
"""Where the journals lie if it is there: on their own machines they do not share one disk."""


def main(arguments: list[str] | None = None) -> int:
    """Run what the options ask for; tables, or one JSON document, on stdout; everything else on stderr."""
    options = parsed(arguments)
    screen = Console(stderr=True)
    try:
        document = simulated(options, screen)
    except EdgecamError as error:
        screen.print(f"fleet-sim: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        screen.print("fleet-sim: stopped", markup=False)
        return 1
    if options.json:
        print(json.dumps(document))
    else:
        for table in tables(document):
            (Console() if sys.stdout.isatty() else Console(width=140)).print(table)
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="tools/fleet-sim", description=__doc__)
    add = parser.add_argument
    add("--publishers", type=positive, default=500, metavar="N", help="appliances, each with one camera (500)")
    add("--seconds", type=seconds, default=60.0, metavar="S", help="how long to hold the load (60)")
    add("--rate", type=seconds, default=0.2, metavar="R", help="event messages a second from each appliance (0.2)")
    add("--snapshots", choices=("bytes", "reference", "off"), default="bytes", help="what goes out of pictures (bytes)")
    add("--processes", type=positive, default=max(2, os.cpu_count() or 1), metavar="N", help="that publishers share")
    add("--subscribers", type=positive, default=1, metavar="N", help="several share the events ($share)")
    add("--step", type=seconds, default=15.0, metavar="S", help="how long each load of the ramp is measured (15)")
    add("--limit", type=seconds, default=64.0, metavar="R", help="the ramp goes up to this rate (64)")
    add("--outage", type=seconds, default=10.0, metavar="S", help="for how long the broker is away (10)")
    add("--no-ramp", action="store_true", help="leave out the ramp")
    add("--no-storm", action="store_true", help="leave out the outage")
    add("--no-flood", action="store_true", help="leave out what the broker bears by itself")
    add("--json", action="store_true", help="one JSON document instead of tables")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def seconds(text: str) -> float:
    """A number greater than 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def simulated(options: argparse.Namespace, screen: Console) -> dict[str, Any]:
    """All that was measured, as one document. Raises EdgecamError."""
    size = simulation.Size(options.publishers, options.processes, options.subscribers)
    settings = {"snapshots": options.snapshots, "picture": scene_picture() if options.snapshots == "bytes" else b""}
    document: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with (
        tempfile.TemporaryDirectory(prefix="fleet-sim-", dir=where) as folder,
        Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar,
    ):
        task = bar.add_task("start")

        def say(text: str) -> None:
            bar.update(task, description=text)

        with simulation.fleet(size, settings, Path(folder), say) as fleet:
            say(f"{options.rate * size.publishers:.0f} event messages a second")
            steps = [simulation.held(fleet, options.rate, options.seconds)]
            if not options.no_ramp and not steps[0].gave:
                steps += simulation.raised(fleet, options.rate, options.step, options.limit, say)
            say("what waits is sent")
            simulation.calmed(fleet, options.rate)
            document["steps"] = [asdict(step) for step in steps]
            document["storm"] = None if options.no_storm else asdict(simulation.storm(fleet, options.outage, say))
            say("the books are closed")
            document["books"] = simulation.books(fleet)
            document["broker_log"] = fleet.broker.log()
        document["flood"] = None if options.no_flood else asdict(simulation.flooded(say, Path(folder)))
    return document


def machine() -> dict[str, Any]:
    """What it was measured on."""
    said = subprocess.run([broker.program(), "-h"], capture_output=True, text=True, check=False, timeout=10).stdout
    return {
        "python": platform.python_version(),
        "arch": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "broker": said.split("\n", 1)[0],
    }


def tables(document: dict[str, Any]) -> Iterable[Table]:
    """The document for people."""
    yield _steps(document)
    yield _parts(document)
    given = [(f"{step['rate']:g}", step["gave"], step["first"]) for step in document["steps"] if step["gave"]]
    if given:
        table = Table("rate", "what gave", "what held it up", title="What gives first")
        for row in given:
            table.add_row(*row)
        yield table
    if document["storm"]:
        yield _storm(document["storm"], document["options"]["publishers"])
    if document["flood"]:
        yield _flood(document["flood"])
    books = document["books"]
    table = Table("recorded", "received", "twice", "missing", "given up", "late", title="Event messages in all")
    table.add_row(*(str(books[name]) for name in ("recorded", "received", "twice", "gaps", "given_up", "late")))
    yield table


def _steps(document: dict[str, Any]) -> Table:
    count, snapshots = document["options"]["publishers"], document["options"]["snapshots"]
    table = Table(title=f"{count} appliances on {document['machine']['broker']}, pictures: {snapshots}")
    for name in ("rate", "offered", "recorded", "delivered", "all sent", "MB out", "p50", "p95", "p99", "waiting"):
        table.add_column(name, justify="right")
    for step in document["steps"]:
        counts = [f"{step[name]:.0f}" for name in ("offered", "recorded", "delivered", "sent")]
        delays = ["" if step[name] is None else f"{1000 * step[name]:.1f}" for name in ("p50", "p95", "p99")]
        out = f"{step['received_bytes'] / 1e6:.2f}"
        table.add_row(f"{step['rate']:g}", *counts, out, *delays, str(step["waiting"]))
    table.caption = (
        "rate: event messages a second of one appliance; a second of all: offered, recorded, delivered to subscribers,"
        " messages of all kinds sent, MB to subscribers; p50 to p99: milliseconds from an event to a subscriber"
    )
    return table


def _parts(document: dict[str, Any]) -> Table:
    table = Table(title=f"What it takes, of {document['machine']['cores']} cores and of memory")
    for name in (
        "rate",
        "broker",
        "publishers",
        "subscribers",
        "others",
        "µs/message",
        "broker MB",
        "MB per appliance",
    ):
        table.add_column(name, justify="right")
    for step in document["steps"]:
        loads = step["loads"]
        cores = [f"{loads[part]['cores']:.2f}" for part in ("broker", "publishers", "subscribers")]
        each = loads["publishers"]["rss_bytes"] / 1e6 / document["options"]["publishers"]
        memory = [f"{loads['broker']['rss_bytes'] / 1e6:.0f}", f"{each:.2f}"]
        table.add_row(f"{step['rate']:g}", *cores, f"{step['others']:.2f}", f"{1e6 * step['broker_cpu']:.0f}", *memory)
    table.caption = "cores in use by each; µs/message: what a message, in or out, costs the broker; memory at the end"
    return table


def _storm(storm: dict[str, Any], publishers: int) -> Table:
    table = Table("what", title=f"The broker is away for {storm['outage']:g} s")
    table.add_column("", justify="right")

    def shown(value: float | None) -> str:
        return "not in time" if value is None else f"{value:.1f} s"

    table.add_row("half are back after", shown(storm["p50"]))
    table.add_row("95 of 100 after", shown(storm["p95"]))
    table.add_row("the last after", shown(storm["last"]))
    table.add_row("are back", f"{storm['back']} of {publishers}")
    table.add_row("most that came within 0.1 s", str(storm["busiest"]))
    table.add_row("event messages that waited", str(storm["waiting"]))
    table.add_row("all of them sent after", shown(storm["caught_up"]))
    table.add_row("came marked late", str(storm["late"]))
    table.add_row("broker's processor time until then", f"{storm['broker_cpu']:.1f} s")
    return table


def _flood(flood: dict[str, Any]) -> Table:
    table = Table(title="The broker by itself: messages of 1.8 kB, made beforehand, from 50 connections to one")
    for name in ("taken a second", "delivered a second", "broker", "senders", "listener", "what held it up"):
        table.add_column(name, justify="right")
    cores = [f"{flood['loads'][part]['cores']:.2f}" for part in ("broker", "senders", "listener")]
    table.add_row(f"{flood['taken']:.0f}", f"{flood['delivered']:.0f}", *cores, flood["first"])
    return table


if __name__ == "__main__":
    sys.exit(main())
