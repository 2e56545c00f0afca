"""The sinks behind `ports.Sink`: one module per way out, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from edgecam.errors import InputError
from edgecam.ports import Sink

#: Kind -> where its class is. Device libraries are needed only by the kind in use.
SINKS = {
    "clips": "edgecam.sinks.clips:ClipSink",
    "display": "edgecam.sinks.display:DisplaySink",
    "journal": "edgecam.sinks.journal:JournalSink",
    "jsonl": "edgecam.sinks.jsonl:JsonLinesSink",
    "mqtt": "edgecam.sinks.mqtt:MqttSink",
    "requested": "edgecam.sinks.requested:RequestedSnapshotSink",
    "snapshot": "edgecam.sinks.snapshot:SnapshotSink",
    "video": "edgecam.sinks.video:VideoSink",
}


def create(kind: str, **keywords: Any) -> Sink:
    """A sink of a kind; `keywords` are its constructor's. Raises InputError for an unknown kind."""
    if kind not in SINKS:
        raise InputError(f"sink {kind!r}: give one of {', '.join(SINKS)}")
    module, _, name = SINKS[kind].partition(":")
    return cast("Sink", getattr(import_module(module), name)(**keywords))
