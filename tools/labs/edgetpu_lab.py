#!/usr/bin/env python3
"""The fault lab's command line; `tools/labs/edgetpu` is the one that sets up what it needs.

Exit code 1 where anything was lost, leaked or late. On a terminal the tables are drawn, else they are Markdown.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import typer  # noqa: E402
from edgetpu.build import compiler  # noqa: E402
from edgetpu.endurance import GAP, Cycles, Gaps  # noqa: E402
from edgetpu.faults import FAULTS, Record  # noqa: E402
from edgetpu.kit import Kit, make_kit  # noqa: E402
from edgetpu.one_run import in_own_process  # noqa: E402
from edgetpu.parent_killed import MOMENTS  # noqa: E402
from rich import box  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: E402
from rich.table import Table  # noqa: E402

NAMES = [*(fault.name for fault in FAULTS), *MOMENTS]
OUTAGES = (0.3, 1.0, 3.0, 7.5)
"""How long the faults last, in turn, in seconds; the last ends when the next try is farthest away."""
TIMEOUT = 300.0
CORES = os.cpu_count() or 1

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Software Edge TPUs that fail, and what it costs.",
)
Item = TypeVar("Item")
Json = Annotated[Path | None, typer.Option("--json", help="Also write every run to this file.")]
Jobs = Annotated[int, typer.Option(min=1, help="Runs at the same time.")]


@app.command()
def faults(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each fault.")] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Only faults with this in their name.")] = None,
    jobs: Jobs = CORES,
    json_file: Json = None,
) -> None:
    """The table of faults."""
    names = [name for name in NAMES if not only or any(part in name for part in only)]
    if not names:
        raise typer.BadParameter(f"give part of one of: {', '.join(NAMES)}", param_hint="--only")
    orders = [(name, OUTAGES[number % len(OUTAGES)]) for number in range(runs) for name in names]
    with _kit() as kit:
        records = _each(orders, lambda order, folder: _fault(kit, folder, *order), jobs)
    _write(json_file, records)
    _print(_fault_table([[record for record in records if record.name == name] for name in names]))
    _judge(f"{record.name} (for {record.outage:g} s): {what}" for record in records for what in record.problems())


@app.command()
def cycles(
    count: Annotated[int, typer.Option(min=20, help="How often the stick is pulled and plugged in.")] = 300,
    warm_up: Annotated[int, typer.Option(min=1, help="Cycles before growth counts.")] = 20,
    every: Annotated[int, typer.Option(min=1, help="Cycles between two samples.")] = 50,
    json_file: Json = None,
) -> None:
    """What grows while the stick is pulled and plugged in over and over."""
    order = {"run": "cycles", "count": count, "warm_up": warm_up, "every": every}
    with _kit() as kit:
        (done,) = _each([order], lambda order, folder: in_own_process(Cycles, kit, folder, 60.0 * count, **order), 1)
    _write(json_file, [done])
    _print(_cycle_table(done))
    typer.echo(
        f"memory grows by {done.growth_bytes:.0f} bytes a cycle after {warm_up}; the slowest: "
        f"{done.to_cpu:.2f} s to the CPU, {done.back:.2f} s back; {done.tally}"
    )
    _judge(done.problems())


@app.command()
def gaps(
    runs: Annotated[int, typer.Option(min=1)] = 20,
    opening: Annotated[float, typer.Option(min=0.1, help="Seconds that the stick takes to open.")] = 3.0,
    json_file: Json = None,
) -> None:
    """How long other threads wait while a stick is opened."""
    order = {"run": "gaps", "opening": opening}
    with _kit() as kit:
        done = _each([order] * runs, lambda order, folder: in_own_process(Gaps, kit, folder, TIMEOUT, **order), 1)
    _write(json_file, done)
    table = _table("longest gap of a 1 ms ticker, ms", "median", "max", "limit")
    table.add_row("on the CPU, before", *_spread([1000 * each.before for each in done], 1), "")
    table.add_row("while the stick opens", *_spread([1000 * each.opening for each in done], 1), f"{1000 * GAP:g}")
    _print(table)
    _judge(what for each in done for what in each.problems())


def _fault(kit: Kit, folder: Path, name: str, outage: float) -> Record:
    try:
        return in_own_process(Record, kit, folder, TIMEOUT, run="fault", name=name, plan={"outage": outage})
    except RuntimeError as error:
        return Record(name, outage, trouble=str(error))


@contextmanager
def _kit() -> Iterator[Kit]:
    cc = compiler()
    if cc is None:
        raise SystemExit("no C compiler for the software Edge TPU: apt-get install gcc libc6-dev")
    with tempfile.TemporaryDirectory(prefix="edgecam-lab-") as folder:
        typer.echo("making the film and the answers", err=True)
        yield make_kit(Path(folder), cc)


def _each(orders: Sequence[Any], carry_out: Callable[[Any, Path], Item], jobs: int) -> list[Item]:
    """Carry them out, so many at a time, each in a folder of its own, under a bar."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    numbers = count()
    with tempfile.TemporaryDirectory(prefix="edgecam-lab-") as folder, Progress(*columns, console=_stderr) as progress:
        task = progress.add_task("", total=len(orders))

        def one(order: Any) -> Item:
            done = carry_out(order, Path(folder) / f"world-{next(numbers)}")
            progress.update(task, advance=1, description=str(order[0] if isinstance(order, tuple) else ""))
            return done

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, orders))


def _fault_table(rows: list[list[Record]]) -> Table:
    counts = ("captured", "analysed", "dropped", "lost")
    seconds = ("to CPU, s", "max", "back, s", "max", "all gone, s", "max")
    table = _table("fault", "runs", *(f"frames {name}" for name in counts), *seconds, "events", "lost", "leaked")
    for records in rows:
        tallies = [record.tally for record in records if record.tally]
        frames = [str(sum(getattr(tally, f"frames_{name}") for tally in tallies)) for name in counts]
        times = [_spread([getattr(record, name) for record in records], 2) for name in ("to_cpu", "back", "gone")]
        lost = sum(tally.events_lost + tally.walks_unseen for tally in tallies)
        leaked = sum(tally.leaked for tally in tallies)
        table.add_row(
            records[0].name,
            str(len(records)),
            *(frames if tallies else ["-"] * len(counts)),
            *(text for pair in times for text in pair),
            *([str(sum(tally.events for tally in tallies)), str(lost), str(leaked)] if tallies else ["-"] * 3),
        )
    return table


def _cycle_table(done: Cycles) -> Table:
    table = _table("cycle", "threads", "processes", "descriptors", "shared mappings", "resident, MiB")
    for sample in done.samples:
        *held, memory = sample.holdings
        table.add_row(str(sample.cycle), *map(str, held), f"{memory / 2**20:.2f}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.ROUNDED if _stdout.is_terminal else box.MARKDOWN)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _spread(values: Sequence[float | None], digits: int) -> tuple[str, str]:
    """Median and maximum as text."""
    known = [value for value in values if value is not None]
    return (f"{median(known):.{digits}f}", f"{max(known):.{digits}f}") if known else ("-", "-")


def _write(path: Path | None, results: Iterable[Any]) -> None:
    if path:
        path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n", encoding="utf-8")


def _print(table: Table) -> None:
    _stdout.print(table)


def _judge(problems: Iterable[str]) -> None:
    """Exit with 1 and say why, where anything is wrong."""
    found = list(problems)
    for problem in found:
        first, *others = problem.strip().splitlines()
        typer.echo(f"{first} … {others[-1]}" if others else first, err=True)
    if found:
        raise typer.Exit(1)


_stdout = Console(width=None if sys.stdout.isatty() else 250)
_stderr = Console(stderr=True)

if __name__ == "__main__":
    app()
