"""Which stored clips go, so that the rest keeps within the bounds of age, total size and free space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

EARLIEST = 1767225600.0
"""Unix seconds of 2026-01-01: edgecam is younger than that, so an earlier date is that of a clock which nobody set."""


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A finished clip as the journal knows it.

    `start` and `end` are Unix seconds by the clock of then, `clock_synced` whether that clock was known to be right.
    `size_bytes` is what deleting it frees. A `kept` clip is a favourite.
    """

    clip_id: str
    camera: str
    labels: tuple[str, ...]
    start: float
    end: float
    size_bytes: int
    kept: bool = False
    clock_synced: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds; None, and 0 for `min_free_bytes`, is no bound.

    `max_age` is the most seconds since the start of a clip, `max_bytes` the most of all clips together, favourites
    among them, `min_free_bytes` the least that stays free on the disk. `label_max_age` has ages of their own for some
    labels, None for no bound: a clip with several labels stays as long as the most patient of them.
    """

    max_age: float | None = None
    max_bytes: int | None = None
    min_free_bytes: int = 0
    label_max_age: Mapping[str, float | None] = field(default_factory=dict)

    def age_limit(self, clip: StoredClip) -> float:
        """How many seconds this clip may stay; infinite without a bound."""
        ages = [self.label_max_age.get(label, self.max_age) for label in clip.labels] or [self.max_age]
        return max(map(_age, ages))

    @property
    def least_age_limit(self) -> float:
        """No clip goes by its age that is younger than so many seconds, whatever its labels."""
        return min(map(_age, (self.max_age, *self.label_max_age.values())))


def _age(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds


def to_delete(clips: Sequence[StoredClip], now: float | None, free_bytes: int, policy: Policy) -> list[str]:
    """The ids of the clips to delete, oldest first; favourites never.

    `clips` stand in the order in which they were recorded (the journal's row numbers). That order says what is old,
    not the dates: a clock that was wrong for a while must not make new clips go first, nor others stay for good. `now`
    is in Unix seconds, None while the clock is not known to be right: then nothing goes by age, and the bounds of size
    hold all the same.

    The rule for dates: a clip has no date of its own if its clock was not known to be right, or if it would be from
    before EARLIEST or after `now`; it is then as old as the next clip that has one, and new where there is none. No
    clip is older than one recorded before it. So a clip "of 1970" is not deleted at once, one "of 2060" not kept for
    ever, and neither touches others.
    """
    expired = _expired(clips, now, policy)
    excess = max(
        sum(clip.size_bytes for clip in clips) - policy.max_bytes if policy.max_bytes is not None else 0,
        policy.min_free_bytes - free_bytes,
    )
    excess -= sum(clip.size_bytes for clip, gone in zip(clips, expired, strict=True) if gone)
    deleted = []
    for clip, gone in zip(clips, expired, strict=True):
        if gone:
            deleted.append(clip.clip_id)
        elif excess > 0 and not clip.kept:
            deleted.append(clip.clip_id)
            excess -= clip.size_bytes
    return deleted


def beyond_reach(clips: Sequence[StoredClip], free_bytes: int, policy: Policy) -> int:
    """By how many bytes a bound cannot be kept, since all that is left are favourites, or files that are not clips.

    Above 0 recording is of little use: every new clip is the next to go.
    """
    kept = sum(clip.size_bytes for clip in clips if clip.kept)
    others = sum(clip.size_bytes for clip in clips) - kept
    over = 0 if policy.max_bytes is None else kept - policy.max_bytes
    return max(0, over, policy.min_free_bytes - free_bytes - others)


def _expired(clips: Sequence[StoredClip], now: float | None, policy: Policy) -> list[bool]:
    """Of each clip, whether it goes by its age."""
    if now is None:
        return [False] * len(clips)
    return [
        not clip.kept and now - date > policy.age_limit(clip)
        for clip, date in zip(clips, _dates(clips, now), strict=True)
    ]


def _dates(clips: Sequence[StoredClip], now: float) -> list[float]:
    """When each clip began, in Unix seconds, as far as that can be believed: never falling."""
    known = [clip.start if clip.clock_synced and EARLIEST <= clip.start <= now else None for clip in clips]
    rising = list(accumulate((EARLIEST if date is None else date for date in known), max))
    following = now
    for place in range(len(clips) - 1, -1, -1):
        if known[place] is not None:
            following = rising[place]
        rising[place] = following
    return rising
