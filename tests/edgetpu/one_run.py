"""One run of the fault lab in a process of its own, told by JSON on its command line; the result is JSON on stdout.

    python -m edgetpu.one_run '{"kit": …, "library": …, "folder": …, "run": "fault", "name": "segfault", …}'

What edgecam has to say goes to stderr. The other side of it is `in_own_process`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from edgetpu import endurance, faults, parent_killed
from edgetpu.kit import ROOT, Kit
from edgetpu.measuring import inhabitants


def fault(kit: Kit, folder: Path, name: str, plan: dict[str, float]) -> faults.Record:
    """One run of a scenario."""
    if name in parent_killed.MOMENTS:
        return parent_killed.run(name, kit, folder)
    chosen = next(each for each in faults.FAULTS if each.name == name)
    return faults.run(chosen, kit, folder, faults.Plan(**plan))


Result = TypeVar("Result")

RUNS: dict[str, Callable[..., Any]] = {
    "fault": fault,
    "live": parent_killed.live,
    "cycles": endurance.cycles,
    "gaps": endurance.gaps,
}


def in_own_process(
    kind: type[Result],
    kit: Kit,
    folder: Path,
    timeout: float,
    environment: Mapping[str, str] = os.environ,
    **order: Any,
) -> Result:
    """Carry it out in a new process, in a world in `folder` (new, too). What edgecam says is beside it, in *.log.

    From another thread than pytest's, which changes os.environ at each test, give a copy of it as `environment`.

    Raises RuntimeError, with the end of that, where it fails or takes longer than `timeout` seconds.
    """
    log = folder.with_suffix(".log")
    told = {"kit": str(kit.folder), "library": str(kit.library), "folder": str(folder), **order}
    command = [sys.executable, "-m", "edgetpu.one_run", json.dumps(told)]
    search = os.pathsep.join([str(ROOT), str(ROOT / "tests"), environment.get("PYTHONPATH", "")])
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**environment, "PYTHONPATH": search}
        )
        try:
            result, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            result = ""
        finally:
            process.kill()
            process.wait()
            for pid in inhabitants(folder):  # what it failed to take with it
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    if process.returncode or not result:
        raise RuntimeError(f"{order}: exit {process.returncode}\n{log.read_text('utf-8')[-4000:]}")
    return TypeAdapter(kind).validate_json(result)


def main() -> None:
    order = json.loads(sys.argv[1])
    kit = Kit(Path(order.pop("kit")), Path(order.pop("library")))
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7.0f %(threadName)s %(name)s: %(message)s")
    result = RUNS[order.pop("run")](kit, Path(order.pop("folder")), **order)
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    main()
