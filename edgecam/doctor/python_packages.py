"""Whether the Python packages fit each other: those built for NumPy, and one with a misleading name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.importing import PACKAGES, Loaded, try_to_load
from edgecam.doctor.surroundings import Surroundings

_OLD = "tflite-runtime"
_OLD_REMEDY = (
    "pip install 'numpy<2' 'opencv-python-headless<4.12', or take the other runtime:"
    " pip uninstall tflite-runtime, pip install ai-edge-litert"
)
_ABI_REMEDY = (
    "install both anew, in versions that go together: `sudo edgecam install`, or pip install --upgrade edgecam"
)
_PYCORAL = """
import importlib, importlib.util as u
found = u.find_spec("pycoral")
try:
    importlib.import_module("pycoral.utils.edgetpu")
    print("coral")
except Exception:
    print("other" if found else "none")
"""


def check_numpy(here: Surroundings) -> Iterator[Finding]:
    """Each compiled package loads with the NumPy that is installed."""
    loaded = try_to_load(here.run, PACKAGES)
    numpy = loaded.get("numpy", Loaded("", "not installed"))
    found = [_unfit(name, package, numpy) for name, package in loaded.items() if package.error]
    if _OLD in loaded and not loaded[_OLD].error and numpy.version.partition(".")[0] not in ("", "0", "1"):
        found.append(fail(f"{_OLD} was built for NumPy 1, NumPy is {numpy.version}", _OLD_REMEDY))
    yield from found
    if not found:
        yield ok(", ".join(f"{name} {package.version}".rstrip() for name, package in loaded.items()))


def _unfit(name: str, package: Loaded, numpy: Loaded) -> Finding:
    what = f"{name} {package.version}".rstrip()
    if name == _OLD:
        return fail(f"{what} does not load with NumPy {numpy.version}: {package.error}", _OLD_REMEDY)
    if name == "numpy":
        return fail(f"{what} does not load: {package.error}", "pip install --force-reinstall numpy")
    return fail(f"{what} does not load with NumPy {numpy.version}: {package.error}", _ABI_REMEDY)


def check_pycoral(here: Surroundings) -> Iterator[Finding]:
    """`pycoral` on PyPI is another package than Coral's; where it is wanted, it must be Coral's own."""
    python = here.config.edgetpu.python
    told = here.run([python or sys.executable, "-c", _PYCORAL])
    which = told.out.strip() if told else ""
    where = f" in {python}" if python else ""
    other = f"pycoral{where} is not Coral's: PyPI's package of that name is something else, or it is broken"
    remedy = f"`{Path(python or sys.executable)} -m pip uninstall pycoral`; edgecam needs none, libedgetpu is enough"
    if which == "coral":
        yield ok(f"Coral's pycoral{where}")
    elif which == "other":
        yield fail(other, remedy) if python else warn(other, remedy)
    elif which == "none":
        yield ok(f"no pycoral{where}: none is needed")
    elif python:
        yield fail(f"edgetpu.python {python!r} does not run", "name a Python that is there, or leave it empty")
    else:
        yield skipped("this Python could not be asked")
