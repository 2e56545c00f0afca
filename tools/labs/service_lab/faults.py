"""Runs edgecam, in the container, with workers that hang when they are told to: a file `hang-NAME` in /run/edgecam.

The service's own Python runs this file in the place of `edgecam`; nothing else is different.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecam import capture, cli, detection, output, publisher
from edgecam.worker import Worker

ORDERS = Path("/run/edgecam")
WORKERS: dict[str, type[Worker]] = {
    "capture": capture.CaptureWorker,
    "detect": detection.DetectWorker,
    "output": output.OutputWorker,
    "publish": publisher.PublishWorker,
}
MARK = "lab: hung"


def hang_on_order(name: str, step: Callable[[Any], None]) -> Callable[[Any], None]:
    """The worker's turn, which hangs once there is the order; the order is gone then."""
    order = ORDERS / f"hang-{name}"

    def turn(worker: Any) -> None:
        if order.exists():
            order.unlink()
            os.write(2, f"{MARK} {name} at {time.monotonic():.3f}\n".encode())
            hang()
        step(worker)

    return turn


def hang() -> None:
    """As a driver hangs that never comes back."""
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    for each, kind in WORKERS.items():
        kind.step = hang_on_order(each, kind.step)  # type: ignore[assignment,method-assign]
    sys.exit(cli.main())
