"""Where the tracks stand in a frame between two analyses: on the line between them, or predicted for a while."""

from __future__ import annotations

from dataclasses import replace

from edgecam.types import Analysis, BBox, Track

PREDICTION_LIMIT = 0.5
"""Seconds past the last analysis for which a track is carried on by its velocity; beyond that nothing is shown."""

MISSES_SHOWN = 2
"""A track that the last analyses missed is still shown so often: a blink of the detector should not blink the box."""


def shown(track: Track) -> bool:
    """Whether a track is worth showing: confirmed, found lately, and with some of it in the picture."""
    return track.confirmed and track.misses <= MISSES_SHOWN and track.bbox.clipped().area > 0


def tracks_at(timestamp: float, before: Analysis | None, after: Analysis | None) -> tuple[Track, ...]:
    """The tracks as they stand at `timestamp`, monotonic seconds.

    `before` is the last analysis not later than the frame, `after` the first not earlier; either may be of the frame
    itself, and then its boxes are taken as they are. In between, a track in both stands on the straight line between
    its two boxes, one only in `before` stays until half-way, one only in `after` comes from half-way on. Without
    `after`, tracks are carried on by their velocity and marked predicted.
    """
    if after is not None and after.timestamp <= timestamp:
        return tuple(track for track in after.tracks if shown(track))
    if before is None:
        return ()
    if after is None:
        return _predicted(before, timestamp - before.timestamp)
    return _between(timestamp, before, after)


def _predicted(before: Analysis, ahead: float) -> tuple[Track, ...]:
    if ahead <= 0:
        return tuple(track for track in before.tracks if shown(track))
    if ahead > PREDICTION_LIMIT:
        return ()
    carried = (replace(track, bbox=_moved(track, ahead), predicted=True) for track in before.tracks if shown(track))
    return tuple(track for track in carried if shown(track))


def _moved(track: Track, ahead: float) -> BBox:
    """The box after `ahead` seconds; one that would turn inside out keeps its shape."""
    moved = BBox(*(edge + speed * ahead for edge, speed in zip(track.bbox, track.velocity, strict=True)))
    return moved if moved.width > 0 and moved.height > 0 else track.bbox


def _between(timestamp: float, before: Analysis, after: Analysis) -> tuple[Track, ...]:
    fraction = (timestamp - before.timestamp) / (after.timestamp - before.timestamp)
    earlier = {track.track_id: track for track in before.tracks if shown(track)}
    later = {track.track_id: track for track in after.tracks if shown(track)}
    standing = []
    for track_id in sorted(earlier.keys() | later.keys()):
        first, second = earlier.get(track_id), later.get(track_id)
        if first and second:
            standing.append(replace(second, bbox=first.bbox.toward(second.bbox, fraction)))
        elif first and fraction < 0.5:
            standing.append(first)
        elif second and fraction >= 0.5:
            standing.append(second)
    return tuple(standing)
