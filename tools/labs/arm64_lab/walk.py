"""What is tried in it: the installer's Python part, the command, the demonstration, with the time of each."""

from __future__ import annotations

from service_lab.outcome import Outcome

from arm64_lab.userland import CHECKOUT, Userland

LIMIT = 2400.0
_EDGECAM = "/opt/edgecam/current/bin/edgecam"
_VERSIONS = (
    "import platform, numpy, cv2, av; from ai_edge_litert import interpreter; from importlib.metadata import version;"
    "print(platform.machine(), 'Python', platform.python_version(),"
    " *(f'{name} {version(name)}' for name in ('ai-edge-litert', 'numpy', 'opencv-python-headless', 'av')))"
)


def walk(userland: Userland, outcome: Outcome, seconds: float) -> None:
    """One step after the other; the first that fails ends it."""
    steps = {
        "the machine": "uname -m && . /etc/os-release && echo $PRETTY_NAME",
        "no compiler": "! command -v cc gcc make",
        "tools/install": f"cd {CHECKOUT} && tools/install --no-apt --no-coral --no-start",
        "packages": f'/opt/edgecam/current/bin/python -c "{_VERSIONS}"',
        "edgecam --version": f"{_EDGECAM} --version",
        "config check": f"{_EDGECAM} config check",
        "the demonstration": f"cd /tmp && {_EDGECAM} demo --seconds {seconds:g}",
        "its summary": "tr -d '\\n' < /tmp/demo-out/summary.json",
        "doctor": f"{_EDGECAM} doctor || true",
    }
    for name, command in steps.items():
        done, took = userland.run(command, limit=LIMIT)
        said = [line for line in done.stderr.splitlines() + done.stdout.splitlines() if line.strip()]
        outcome.note(name, f"{took:.0f} s: {' / '.join(said[-3:])}")
        if not outcome.expect(done.returncode == 0, f"{name}: exit {done.returncode}: {' / '.join(said[-12:])}"):
            return
