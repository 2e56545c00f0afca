"""The pages put together: what they may see of each camera, and the server; loaded only where they are on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgecam.config import Config
from edgecam.health.facts import Facts
from edgecam.live_feed import LiveFeed
from edgecam.newest import NewestFrame
from edgecam.pipeline import PipelineParts
from edgecam.ports import Clock, Sink
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.live import LiveSink
from edgecam.sinks.newest import NewestSink
from edgecam.web.premises import CameraAccess, Premises
from edgecam.web.server import WebWorker, check_access


class Viewing:
    """What looks on through the browser; one for all cameras. `path` is the configuration's file, `labels` the model's.

    Raises ConfigError where the server may not run so.
    """

    def __init__(self, config: Config, path: Path | None, labels: tuple[str, ...]) -> None:
        check_access(config.web)
        self._config = config
        self._path = path
        self._labels = labels
        self._cameras: dict[str, CameraAccess] = {}

    def of(self, parts: PipelineParts) -> CameraAccess:
        """What the pages may see and do of one camera; always the same."""
        if parts.name not in self._cameras:
            marks = self._config.enabled_cameras[parts.name]
            access = CameraAccess(parts.name, parts.switches, NewestFrame(), LiveFeed(), self._labels, marks)
            self._cameras[parts.name] = access
        return self._cameras[parts.name]

    def sinks(self, parts: PipelineParts) -> list[Sink]:
        """What feeds them beside the recorder: the newest picture, and live video where nothing is recorded."""
        access, options = self.of(parts), self._config.clips
        encoder = EncoderOptions(**options.encoding())
        live = LiveSink(access.name, access.feed, encoder=encoder, overlay=options.overlay)
        return [NewestSink(access.newest), live]

    def worker(
        self, facts: Callable[[], Facts], reload: Callable[[], list[str]], clock: Clock, on_exit: Callable[[], None]
    ) -> WebWorker:
        """The server, once the sinks of every camera are made."""
        again = reload if self._path else None
        return WebWorker(Premises(self._config, self._path, self._cameras, facts, clock, again), on_exit)
