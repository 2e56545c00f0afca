"""A small edgecam in a process of its own, to be killed: the real journal and publisher, fed by a script.

    feeder.py DATABASE PORT COUNT INTERVAL RECONNECT

Records events 0 to COUNT - 1, one every INTERVAL seconds; started again, it goes on where it was killed. Says `ready`
once, the number of each event that was recorded, and `delivered` when the broker has them all; then it ends. A lost
connection is tried again every RECONNECT seconds, without the usual back-off, so that there is one to be broken.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import sleep

from publishing import publishing

from edgecam.journal import Journal
from edgecam.mqtt import link
from edgecam.mqtt.credentials import Broker


def main(database: str, port: str, count: str, interval: str, reconnect: str) -> None:
    link.FIRST_WAIT = link.LONGEST_WAIT = float(reconnect)
    path = Path(database)
    with Journal(path, outbox=True) as journal:
        done = [int(each["id"]) for each in journal.events()]
    with publishing(path, Broker("127.0.0.1", int(port), "edgecam-feeder")) as pair:
        say("ready")
        for number in range(max(done, default=-1) + 1, int(count)):
            pair.record(number)
            say(str(number))
            sleep(float(interval))
        pair.wait_until(lambda: pair.worker.connected and pair.worker.spool == 0, limit=300)
        say("delivered")


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
