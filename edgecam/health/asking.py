"""Asking the running edgecam how it is, over its status socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from time import monotonic
from typing import Any

from edgecam.errors import EdgecamError

SOCKET = Path("/run/edgecam/status.sock")
"""Where the installed service has its status socket."""
ANSWER_BYTES = 8_000_000
"""No answer is this long."""


class Unreachable(EdgecamError):
    """The service does not answer."""


class NotRunning(Unreachable):
    """Nobody listens at the status socket."""


class NotAllowed(Unreachable):
    """This user may not ask."""


class NoAnswer(Unreachable):
    """Somebody listens, but no whole answer came in time."""


def service_socket(configured: str = "") -> Path | None:
    """Where the service itself puts its socket: as configured, else in systemd's run-time folder, else nowhere."""
    if configured:
        return Path(configured)
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) / SOCKET.name if folder else None


def asked_socket(configured: str = "") -> Path:
    """Where to ask: as configured, else where the installed service has it."""
    return service_socket(configured) or SOCKET


def ask(path: Path = SOCKET, timeout: float = 5.0) -> dict[str, Any]:
    """What the service says of itself: `status`, `stats`, `storage`, `board` and `process`.

    Raises NotRunning, NotAllowed or NoAnswer, at the latest after `timeout` seconds.
    """
    ends = monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        try:
            link.connect(str(path))
            answer = _read_all(link, ends)
        except PermissionError as error:
            remedy = "use sudo, or join the group: sudo usermod -aG edgecam $USER, then log in again"
            raise NotAllowed(f"{path}: this user may not ask the service: {remedy}") from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            remedy = "sudo systemctl start edgecam, or see why not: journalctl -u edgecam"
            raise NotRunning(f"edgecam is not running (nobody listens at {path}): {remedy}") from error
        except OSError as error:
            reason = f"within {timeout:g} s" if isinstance(error, TimeoutError) else f"({error.strerror or error})"
            raise _no_answer(path, reason) from error
    try:
        document = json.loads(answer)
    except ValueError as error:
        raise _no_answer(path, "that can be read") from error
    if not isinstance(document, dict) or "status" not in document:
        raise _no_answer(path, "that is edgecam's")
    return document


def _read_all(link: socket.socket, ends: float) -> bytes:
    answer = bytearray()
    while len(answer) < ANSWER_BYTES:
        left = ends - monotonic()
        if left <= 0:
            raise TimeoutError
        link.settimeout(left)
        part = link.recv(65536)
        if not part:
            break
        answer += part
    return bytes(answer)


def _no_answer(path: Path, what: str) -> NoAnswer:
    return NoAnswer(f"{path}: edgecam gives no answer {what}: see what it does: journalctl -u edgecam")
