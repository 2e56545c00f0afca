"""Runs edgecam's command line inside the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgecam import cli


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Edgecam = Callable[..., Outcome]


def command_line(capture: pytest.CaptureFixture[str], *first: str) -> Edgecam:
    """What runs `edgecam FIRST… ARGUMENTS…`; `capture` is capsys, or capfd for what libraries write past Python."""

    def command(*arguments: str | Path) -> Outcome:
        code = cli.main([*first, *map(str, arguments)])
        captured = capture.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command
