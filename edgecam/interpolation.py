"""The tracks of a frame that was not analysed itself, from the analyses on either side of it."""

from __future__ import annotations

from dataclasses import replace

from edgecam.types import Analysis, BBox, Track

#: A track that was missed more often in a row is not shown: where it is has become a guess.
_MOST_MISSES = 2
#: Seconds that boxes are extrapolated where the later analysis did not come in time.
_AHEAD = 0.5
#: Seconds that a track is shown beyond the only one of two analyses that knows it.
_BEYOND = 0.25


def shown(track: Track) -> bool:
    """Whether a track is worth showing: believed, and missed at most twice in a row."""
    return track.confirmed and track.misses <= _MOST_MISSES


def tracks_at(timestamp: float, before: Analysis | None, after: Analysis | None) -> tuple[Track, ...]:
    """The tracks to show at `timestamp` (monotonic seconds), in the order of their ids.

    `before` is the analysis of this or an earlier frame, `after` that of this or a later one; None where there is none.

    At the moment of an analysis: its own tracks, as they are. In between, a track that both know moves on a straight
    line, if either shows it; one that only `before` knows goes on with its velocity, and one that only `after` knows
    comes from where its velocity puts it, each in its own half of the time and for at most 0.25 s: boxes neither
    freeze where an object left nor appear where it never was. Without `after` (it did not come in time), all go on
    with their velocity for at most 0.5 s. Boxes that were extrapolated are marked `predicted`; those that have left
    the frame are not shown.
    """
    for analysis in (after, before):
        if analysis and timestamp == analysis.timestamp:
            return tuple(track for track in analysis.tracks if shown(track))
    if after is None:
        return _extrapolated(before, timestamp, _AHEAD)
    if before is None:
        return _extrapolated(after, timestamp, _BEYOND)
    return _between(timestamp, before, after)


def _between(timestamp: float, before: Analysis, after: Analysis) -> tuple[Track, ...]:
    span = after.timestamp - before.timestamp
    fraction = min(1.0, max(0.0, (timestamp - before.timestamp) / span)) if span > 0 else 1.0
    later = {track.track_id: track for track in after.tracks}
    both = {track.track_id for track in before.tracks} & later.keys()
    tracks = [
        _on_the_way(track, later[track.track_id], fraction)
        for track in before.tracks
        if track.track_id in both and (shown(track) or shown(later[track.track_id]))
    ]
    nearer = before if fraction < 0.5 else after
    alone = replace(nearer, tracks=tuple(track for track in nearer.tracks if track.track_id not in both))
    tracks += _extrapolated(alone, timestamp, _BEYOND)
    return tuple(sorted(tracks, key=lambda track: track.track_id))


def _on_the_way(track: Track, later: Track, fraction: float) -> Track:
    """The later track on its way there; as much of a guess as the nearer end is."""
    guessed = later.predicted if fraction >= 0.5 else track.predicted
    return replace(later, bbox=track.bbox.toward(later.bbox, fraction), confirmed=True, predicted=guessed)


def _extrapolated(analysis: Analysis | None, timestamp: float, limit: float) -> tuple[Track, ...]:
    if analysis is None or abs(timestamp - analysis.timestamp) > limit:
        return ()
    moved = (_moved(track, timestamp - analysis.timestamp) for track in analysis.tracks if shown(track))
    return tuple(track for track in moved if track.bbox.area > 0)


def _moved(track: Track, elapsed: float) -> Track:
    box = BBox(*(edge + speed * elapsed for edge, speed in zip(track.bbox, track.velocity, strict=True)))
    return replace(track, bbox=box.clipped(), predicted=True)
