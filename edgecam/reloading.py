"""The configuration read again while edgecam runs: what can change does, and what cannot is named."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgecam.app import App
from edgecam.composition import build_overlay, retention_policies, rule_options
from edgecam.config import Config, load
from edgecam.errors import ConfigError
from edgecam.sinks.requested import RequestedSnapshotSink
from edgecam.sinks.snapshot import SnapshotSink

log = logging.getLogger(__name__)

LIVE = re.compile(
    r"(events|overlay|retention)\..*|snapshots\.quality|display\.(layout|camera|fps)|continuous\.max_(age|bytes)"
    r"|cameras\.[^.]+\.(masks|zones|lines|required_zones)(\..*)?"
)
"""The keys that change without a restart."""


class Reloading:
    """Reads the file at `path` again and brings what `app` was built from, `config`, up to date.

    Each thread takes its change between two of its turns, so that none sees half of one and none takes a lock.
    """

    def __init__(self, path: Path, config: Config, app: App) -> None:
        self._path = path
        self._started = config
        self._current = config
        self._app = app

    def read_again(self) -> None:
        """Do so; a file with faults changes nothing. What came of it is in the log."""
        try:
            self.follow_file()
        except ConfigError as error:
            for complaint in str(error).split("\n"):
                log.error("%s", complaint)
            log.error("the configuration has faults: the one that runs stays in force")

    def follow_file(self) -> list[str]:
        """Do so, and return the keys that need a restart. Raises ConfigError; then nothing has changed."""
        config = load(self._path, cameras_needed=True)
        before, self._current = self._current, config
        live = [key for key in changes(before, config) if self._is_live(key, config)]
        later = [key for key in changes(self._started, config) if not self._is_live(key, config)]
        if live:
            self._apply(config)
        log.warning("the configuration was read again; %s", f"now in force: {', '.join(live)}" if live else "no change")
        if later:
            log.warning("these need a restart of edgecam: %s", ", ".join(later))
        if self._app.messaging and _announced(before) != _announced(config):
            log.warning("topics and Home Assistant's entities follow the new labels, zones and lines at the next start")
        return later

    def _is_live(self, key: str, config: Config) -> bool:
        """Whether a key changes without a restart; those of a camera only where it runs, and is to go on."""
        if key.startswith("cameras."):
            camera = key.split(".")[1]
            if camera not in self._started.enabled_cameras or camera not in config.enabled_cameras:
                return False
        return LIVE.fullmatch(key) is not None

    def _apply(self, config: Config) -> None:
        for pipeline in self._app.pipelines:
            camera = config.enabled_cameras.get(pipeline.name)
            if camera is not None:
                pipeline.detect.follow(rule_options(config, camera))
            pipeline.output.draw_with(build_overlay(config))
            for sink in pipeline.sinks:
                if isinstance(sink, SnapshotSink | RequestedSnapshotSink):
                    sink.quality = config.snapshots.quality
        if self._app.display:
            self._app.display.arrange(**config.display.arrangement())
        if self._app.housekeeping:
            self._app.housekeeping.follow(retention_policies(config))


def changes(before: Config, after: Config) -> list[str]:
    """The dotted keys whose value differs, sorted; a key that only one of them has, too. Never a value: no secrets."""
    old, new = dict(_leaves(before.model_dump())), dict(_leaves(after.model_dump()))
    return sorted(key for key in old.keys() | new.keys() if key not in old or key not in new or old[key] != new[key])


def _leaves(tree: Mapping[str, Any], above: Iterable[str] = ()) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        place = (*above, key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, place)
        else:
            yield ".".join(place), value


def _announced(config: Config) -> list[Any]:
    """What MQTT's topics and Home Assistant's entities are made for."""
    names = [(name, list(camera.zones), list(camera.lines)) for name, camera in config.cameras.items()]
    return [config.events.labels, config.events.exclude_labels, names]
