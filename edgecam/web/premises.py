"""What the web server may see and do: everything that its parts are made from, and nothing of the web itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecam.config import CameraConfig, Config
    from edgecam.health.facts import Facts
    from edgecam.live_feed import LiveFeed
    from edgecam.newest import NewestFrame
    from edgecam.ports import Clock
    from edgecam.switches import Switches


@dataclass(frozen=True, slots=True)
class CameraAccess:
    """What the pages may see and do of one camera.

    `newest` holds its newest annotated picture, `feed` its encoded video; `labels` are those that its detector knows;
    `marks` is its part of the configuration, with its zones, lines and masks as they stood at the start.
    """

    name: str
    switches: Switches
    newest: NewestFrame
    feed: LiveFeed
    labels: tuple[str, ...]
    marks: CameraConfig


@dataclass(frozen=True, slots=True)
class Premises:
    """What the web server works with.

    `config_path` is None where the configuration is not from a file. `facts` tells how everything is now; it may be
    called from any thread. `reload` reads the configuration again as SIGHUP does and returns what needs a restart; it
    may wait for the main thread a moment, and raises ConfigError; None where nothing can be read again.
    """

    config: Config
    config_path: Path | None
    cameras: Mapping[str, CameraAccess]
    facts: Callable[[], Facts]
    clock: Clock
    reload: Callable[[], list[str]] | None
