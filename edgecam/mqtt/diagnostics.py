"""What Home Assistant shows of the state of edgecam and its cameras: which value of `status` and `stats`, and how.

Templates are Home Assistant's, that is Jinja. One that gives `None` makes a sensor unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

_LONGEST = 255
"""Characters that a state of Home Assistant can have."""
_RATE = {"state_class": "measurement", "unit_of_measurement": "fps", "suggested_display_precision": 1}
_DURATION = {"state_class": "measurement", "device_class": "duration"}
_MILLISECONDS = _DURATION | {"unit_of_measurement": "ms", "suggested_display_precision": 1}
_SECONDS = _DURATION | {"unit_of_measurement": "s"}
_COUNTER = {"state_class": "total_increasing"}
_HIDDEN = {"enabled_by_default": False}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One entity: the key in its id, its name, the document and the template that finds the value in it.

    `keys` are further ones of the discovery message.
    """

    key: str
    name: str
    template: str
    source: Literal["status", "stats"] = "status"
    platform: Literal["sensor", "binary_sensor"] = "sensor"
    keys: Mapping[str, Any] = field(default_factory=dict)


def appliance_diagnostics() -> list[Diagnostic]:
    """Of edgecam as a whole."""
    return [
        _problem("degraded", "Problem", "value_json.status != 'ok'"),
        Diagnostic("reasons", "Trouble", _text("value_json.reasons | join('; ')")),
        _moment("since", "Status since", "value_json.since"),
        _problem("clock", "Clock", "not value_json.clock_synced"),
        _problem("power", "Power supply", "'under-voltage' in value_json.board.throttled"),
        Diagnostic("runtime", "Runtime", _text("value_json.version.runtime")),
        _size("disk", "Free disk space", "value_json.disk.free_bytes", "GB"),
        Diagnostic(
            "spool", "Messages waiting", _value("value_json.spool.messages"), keys={"state_class": "measurement"}
        ),
        Diagnostic("oldest", "Oldest message", _value("value_json.spool.oldest_age"), keys=_SECONDS | _HIDDEN),
        Diagnostic("lost", "Messages lost", _value("value_json.spool.lost"), keys=_COUNTER),
        Diagnostic("events_lost", "Events lost", _value("value_json.events_lost"), keys=_COUNTER),
        _figure(_size("memory", "Memory", "value_json.process.rss_bytes", "MB")),
        _figure(_scaled("cpu", "CPU", "value_json.process.cpu", 100, {"unit_of_measurement": "%"})),
        _figure(
            Diagnostic(
                "temperature",
                "Temperature",
                _value("value_json.process.temperature_celsius"),
                keys={"state_class": "measurement", "device_class": "temperature", "unit_of_measurement": "°C"},
            )
        ),
        _figure(_size("written", "Written to disk per day", "value_json.storage.written_per_day", "GB")),
        _figure(Diagnostic("uptime", "Uptime", _value("value_json.process.uptime"), keys=_SECONDS | _HIDDEN)),
        _figure(_scaled("publish", "Message delay", "value_json.mqtt.publish.p99", 1000, _MILLISECONDS | _HIDDEN)),
    ]


def camera_diagnostics(camera: str) -> list[Diagnostic]:
    """Of one camera."""
    found = [
        Diagnostic(
            "camera", "Camera", _on("c.camera.open"), "status", "binary_sensor", {"device_class": "connectivity"}
        ),
        Diagnostic("reopened", "Camera losses", _value("c.camera.reopened"), keys=_COUNTER | _HIDDEN),
        _problem("detector", "Detector problem", "c.detector.degraded or c.detector.lost_since is not none"),
        Diagnostic("degraded", "Detector trouble", _text("c.detector.degraded")),
        Diagnostic("device", "Detector", _text("c.detector.device")),
        Diagnostic("model", "Model", _text("c.detector.model")),
        _figure(Diagnostic("captured", "Capture rate", _value("c.fps.captured"), keys=_RATE)),
        _figure(Diagnostic("analysed", "Detection rate", _value("c.fps.analysed"), keys=_RATE)),
        _figure(_scaled("inference", "Inference time", "c.latencies.inference.p50", 1000, _MILLISECONDS)),
        _figure(_scaled("event", "Event delay", "c.latencies.event.p99", 1000, _MILLISECONDS | _HIDDEN)),
    ]
    return [replace(each, template=_of_camera(camera, each.template)) for each in found]


def camera_sees(camera: str) -> str:
    """The template that says of a camera, from `status`, whether it can see: `online`, or `offline`.

    One that is blind must not say that nobody is there.
    """
    sees = "c.camera.open and c.detector.lost_since is none"
    return _of_camera(camera, f"{{{{ 'online' if {sees} else 'offline' }}}}")


def _of_camera(camera: str, template: str) -> str:
    """A template for the camera, which is `c` in it; empty, which changes nothing, where the document has no such."""
    return f"{{% set c = value_json.cameras.get('{camera}') %}}{{% if c %}}{template}{{% endif %}}"


def _value(path: str) -> str:
    return f"{{{{ {path} }}}}"


def _text(expression: str) -> str:
    """Never empty: a state that is empty looks like a fault."""
    return f"{{{{ (({expression}) or 'none')[:{_LONGEST}] }}}}"


def _on(condition: str) -> str:
    return f"{{{{ 'ON' if {condition} else 'OFF' }}}}"


def _problem(key: str, name: str, condition: str) -> Diagnostic:
    return Diagnostic(key, name, _on(condition), platform="binary_sensor", keys={"device_class": "problem"})


def _moment(key: str, name: str, path: str) -> Diagnostic:
    return Diagnostic(key, name, f"{{{{ {path} | as_datetime }}}}", keys={"device_class": "timestamp"})


def _scaled(key: str, name: str, path: str, factor: float, keys: Mapping[str, Any]) -> Diagnostic:
    template = f"{{{{ ({path} * {factor:g}) | round(2) if {path} is not none else none }}}}"
    return Diagnostic(key, name, template, keys={"state_class": "measurement", **keys})


def _size(key: str, name: str, path: str, unit: Literal["GB", "MB"]) -> Diagnostic:
    factor = {"GB": 1e-9, "MB": 1e-6}[unit]
    return _scaled(key, name, path, factor, {"device_class": "data_size", "unit_of_measurement": unit})


def _figure(diagnostic: Diagnostic) -> Diagnostic:
    """It is found in `stats`."""
    return replace(diagnostic, source="stats")
