"""Whether the runtime runs a model, tried in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

from edgecam.bundled import models_folder
from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.doctor.finding import Finding, fail, ok, parted
from edgecam.doctor.surroundings import Surroundings
from edgecam.errors import DetectorError
from edgecam.models.published import BY_NAME, DEMO

_RUNTIME = """
import importlib
import numpy
for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    print(name.partition(".")[0].replace("_", "-"))
    break
"""


def check_runtime(here: Surroundings) -> Iterator[Finding]:
    """The runtime runs a model: the bundled one, on the CPU, in a process of its own. Of another Python for the Edge
    TPU, that it has one."""
    yield _tried(ProcessOptions(runtime=here.config.detector.runtime))
    python = here.config.edgetpu.python
    if python:
        told = here.run([python, "-c", _RUNTIME])
        found = told.out.strip() if told and told.code == 0 else ""
        remedy = "install numpy, and tflite-runtime or Coral's pycoral there; or leave edgetpu.python empty"
        yield ok(f"{found} in {python}") if found else fail(f"edgetpu.python {python!r} has no runtime", remedy)


def _tried(options: ProcessOptions) -> Finding:
    model = models_folder() / BY_NAME[DEMO].file
    process = DetectorProcess(model.read_bytes(), "cpu", options)
    try:
        process.start()
        process.wait_ready(options.open_timeout + 1.0)
        return ok(f"{process.ready.runtime} runs {BY_NAME[DEMO].name}")
    except DetectorError as error:
        return fail(*parted(str(error), "pip install --force-reinstall ai-edge-litert"))
    finally:
        process.kill()
