"""What the soak shows at its end: nothing lost, nothing broken, each restart explained, the memory flat."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

from service_lab.container import UNIT
from service_lab.outcome import Outcome
from service_lab.soak.record import Record, ask
from service_lab.soak.site import DATA, PYTHON, Site, Subscriber

_BEGAN = re.compile(r"event (\d+\.\d+-\w+): .*score")
EDGECAM = "/opt/edgecam/current/bin/edgecam"
_CHECK = """\
import sqlite3
db = sqlite3.connect('file:{data}/edgecam.db?mode=ro', uri=True)
print(db.execute('PRAGMA integrity_check').fetchone()[0], db.execute('PRAGMA foreign_key_check').fetchall())
"""


def judge(site: Site, subscriber: Subscriber, record: Record, outcome: Outcome) -> None:
    """Once all faults are over: stop the service and compare what it has with what was heard."""
    site.container.until(lambda: not _waiting(site), 60)
    site.container.run(f"systemctl stop {UNIT}", limit=120)
    site.container.until(lambda: all("end" in kinds for kinds in subscriber.kinds().values()), 15)
    _events(site, subscriber, record, outcome)
    _commands(site, outcome)
    _restarts(record, outcome)
    _faults(record, outcome)
    _memory(record, outcome)


def _waiting(site: Site) -> int:
    told = ask(site.container)
    return int(told["status"]["spool"]["messages"]) if told else 1


def _events(site: Site, subscriber: Subscriber, record: Record, outcome: Outcome) -> None:
    listed = json.loads(site.container.run(f"{EDGECAM} events list --json --limit 1000000", limit=120).stdout or "[]")
    record.file.with_name("events.json").write_text(json.dumps(listed))
    kept = {str(event["id"]): event for event in listed}
    told = subscriber.kinds()
    outcome.note("events", f"{len(kept)} in the journal, {len(told)} at the subscriber")
    numbers = [int(message["sequence"]) for message in subscriber.messages()]
    gaps = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
    outcome.note("messages at the subscriber", f"{len(numbers)}, numbered 1 to {max(numbers, default=0)}")
    outcome.expect(not gaps, f"numbers that never came: {gaps[:50]}")
    lost = sorted(set(kept) - set(told))
    outcome.expect(kept, "no events at all")
    outcome.expect(not lost, f"in the journal, never at the subscriber: {lost}")
    beside = sorted(set(told) - set(kept))
    outcome.expect(not beside, f"at the subscriber, not in the journal: {beside}")
    partly = sorted(f"{event}: {sorted(kinds)}" for event, kinds in told.items() if not {"new", "end"} <= kinds)
    outcome.expect(not partly, f"not whole at the subscriber: {partly}")
    lives = _lives(record)
    counted, given_up = sum(life["events"] for life in lives), max((life["given_up"] for life in lives), default=0)
    refused = sum(life["events_lost"] for life in lives)
    outcome.note("events that edgecam counted", f"{counted} in {len(lives)} lives, {refused} that it could not record")
    outcome.expect(not refused, f"event messages that could be recorded nowhere: {refused}")
    outcome.expect(not given_up, f"messages given up: {given_up}")
    _announced(site, record, set(kept), outcome)


def _announced(site: Site, record: Record, kept: set[str], outcome: Outcome) -> None:
    """What edgecam's log says began is in its journal."""
    said = site.container.journal(record.epoch)
    found = [(_BEGAN.search(str(line.get("MESSAGE"))), int(line["__REALTIME_TIMESTAMP"]) / 1e6) for line in said]
    announced = {match[1]: when - record.epoch for match, when in found if match}
    missing = {event: round(when, 1) for event, when in announced.items() if event not in kept}
    outcome.note("events announced", f"{len(announced)}, {len(missing)} of them not in the journal")
    outcome.expect(not missing, f"announced, not in the journal: {missing}")


def _lives(record: Record) -> list[dict[str, Any]]:
    """What each life of the service had counted when it was last asked."""
    lives: dict[str, dict[str, Any]] = {}
    for line in record.lines("counted"):
        lives[line["pid"]] = line
    return list(lives.values())


def _commands(site: Site, outcome: Outcome) -> None:
    checks = {
        "clips check": (f"{EDGECAM} clips check", 600),
        "events export": (f"{EDGECAM} events export --out /tmp/soak.jsonl", 120),
        "SQLite's integrity_check": (f'{PYTHON} -c "{_CHECK.format(data=DATA)}"', 120),
    }
    for name, (command, limit) in checks.items():
        done = site.container.run(command, limit=limit)
        said = (done.stdout + done.stderr).strip().splitlines()
        outcome.note(name, f"exit {done.returncode}: {said[-1] if said else ''}")
        outcome.expect(done.returncode == 0, f"{name}: {' / '.join(said[-12:])}")
        outcome.expect(name != "SQLite's integrity_check" or done.stdout.strip() == "ok []", f"{name}: {said}")


def _restarts(record: Record, outcome: Outcome) -> None:
    starts = record.lines("service")
    unexplained = [line for line in starts if line.get("because") == "unexplained"]
    outcome.note("starts of the service", f"{len(starts)}, {len(unexplained)} of them not explained by a fault")
    outcome.expect(not unexplained, f"restarts without a fault: {unexplained}")


def _faults(record: Record, outcome: Outcome) -> None:
    """A line for each kind: how many, and how long until well again after the mending."""
    struck = {line["number"]: line for line in record.lines("struck")}
    took: dict[str, list[float]] = defaultdict(list)
    for line in record.lines("well"):
        took[struck[line["number"]]["fault"]].append(line["after"])
    outcome.note("faults", f"{len(struck)}, of {len({line['fault'] for line in struck.values()})} kinds")
    for fault in dict.fromkeys(line["fault"] for line in struck.values()):
        times = sorted(took[fault])
        count = sum(line["fault"] == fault for line in struck.values())
        middle = f"{times[len(times) // 2]:.1f} s, at most {times[-1]:.1f} s" if times else "never"
        outcome.note(fault, f"{count} times; well again after {middle}")
    never = [f"{line['fault']} (number {line['number']})" for line in record.lines("not well")]
    outcome.expect(not never, f"not well again in time: {never}")


def _memory(record: Record, outcome: Outcome) -> None:
    """At the start, at the end, and what the longest life grew by."""
    seen = [line for line in record.lines("memory") if line["processes"]]
    if not seen:
        return
    lives: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in seen:
        lives[line["pid"]].append(line)
    outcome.note("memory at the start", _said(next((line for line in seen if line["at"] >= 30), seen[0])))
    outcome.note("memory at the end", _said(seen[-1]))
    outcome.note("most memory", _said(max(seen, key=lambda line: float(line["pss_mb"]))))
    longest = max(lives.values(), key=lambda life: life[-1]["at"] - life[0]["at"])
    warm = [line for line in longest if line["at"] >= longest[0]["at"] + 30] or longest
    span = f"{warm[0]['at']:.0f} to {warm[-1]['at']:.0f} s"
    outcome.note("in the longest life", f"{span}: from {_said(warm[0])} to {_said(warm[-1])}")


def _said(line: dict[str, Any]) -> str:
    return f"{line['pss_mb']:.0f} MB PSS, {line['rss_mb']:.0f} MB RSS in {line['processes']} processes"
