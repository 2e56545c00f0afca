"""Whether libedgetpu is there and matches the runtime: tried in a process that may crash, on a TPU that nobody uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from edgecam.composition import model_folders
from edgecam.detectors.edgetpu import EdgeTpu, lock_path, parse_choice, trouble
from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.doctor.coral import devices_in_use, wanted_tpus
from edgecam.doctor.finding import Finding, fail, ok, parted, skipped
from edgecam.doctor.surroundings import Surroundings
from edgecam.errors import DetectorError, ModelError
from edgecam.modelfile import ModelFile
from edgecam.models import load, pair_of, resolve
from edgecam.models.published import REAL_EDGETPU

_INSTALL = "install libedgetpu1-std, built for the runtime in use: docs/edgetpu.md says where from"
_PULL = f"`edgecam models pull {REAL_EDGETPU}`"
_VERSION = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.edgetpu_version.restype = ctypes.c_char_p
print(library.edgetpu_version().decode())
"""


def check_libedgetpu(here: Surroundings) -> Iterator[Finding]:
    """The library loads; with a free Edge TPU, also that one model opens, is built, and runs once."""
    choice, tpus = parse_choice(here.config.detector.device), wanted_tpus(here)
    if not choice.wants_tpu:
        yield skipped('detector.device is "cpu"')
        return
    version, problem = _version(here)
    if problem:
        unneeded = not tpus and not choice.insists
        yield skipped(f"{problem}; there is no Edge TPU either", _INSTALL) if unneeded else fail(problem, _INSTALL)
        return
    if not tpus:
        yield ok(f"{version}; whether it matches the runtime, only an Edge TPU can tell")
    for tpu in tpus:
        yield _matched(tpu, version, here)


def _version(here: Surroundings) -> tuple[str, str]:
    """What it says of itself, or else what is wrong with it."""
    options = here.config.edgetpu
    told = here.run([options.python or sys.executable, "-c", _VERSION, options.library])
    if told is None:
        return "", f"{options.library} could not be tried: {options.python or sys.executable} does not run"
    if told.code:
        last = told.err.strip().rpartition("\n")[2].partition(": ")[2] or f"exit {told.code}"
        return "", f"{options.library} cannot be loaded ({last})"
    return told.out.strip(), ""


def _matched(tpu: EdgeTpu, version: str, here: Surroundings) -> Finding:
    if tpu.device in devices_in_use(here):
        return ok(f"{version}; the service runs its model with it on {tpu.device}")
    if here.service.running:
        return skipped(f"{version}; {tpu.device} is not touched while the service runs", "stop it to have it tried")
    if trouble(tpu):
        return skipped(f"{version}; {tpu.device} cannot be had now: see coral")
    try:
        model = _compiled(here)
    except ModelError as error:
        return skipped(f"{version}; not tried on {tpu.device}: {error}", _PULL)
    if model is None:
        return skipped(f"{version}; not tried on {tpu.device}: there is no compiled model here", _PULL)
    return _tried(tpu, model, version, here)


def _compiled(here: Surroundings) -> ModelFile | None:
    """The configured model's compiled version, else the published one, where it is here. Raises ModelError."""
    folders = model_folders(here.config)
    pair = pair_of(resolve(here.config.detector.model, folders), folders)
    if pair.edgetpu is not None:
        return load(pair.edgetpu)
    try:
        return load(resolve(REAL_EDGETPU, folders).path)
    except ModelError:
        return None


def _tried(tpu: EdgeTpu, model: ModelFile, version: str, here: Surroundings) -> Finding:
    """The lock is held meanwhile, as by all of edgecam."""
    options = ProcessOptions(runtime=here.config.detector.runtime, **here.config.edgetpu.model_dump())
    process = DetectorProcess(model.content, tpu.device, options, lock_path(tpu))
    try:
        process.start()
        process.wait_ready(options.open_timeout + 1.0)
        milliseconds = 1000 * process.ready.invoke_seconds[1]
        runtime = process.ready.runtime
    except DetectorError as error:
        return fail(*parted(str(error), _INSTALL))
    finally:
        process.kill()
    return ok(f"{version} matches {runtime}; one inference on {tpu.device}: {milliseconds:.1f} ms")
