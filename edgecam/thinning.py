"""Keeping the clips on a disk within their bounds: retention's rules, the clip store and the files put together."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgecam.clip_files import CLIPS, clip_file, delete
from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.recording.fragments import part_of
from edgecam.retention import Policy, StoredClip, beyond_reach, to_delete
from edgecam.sinks.faults import as_sink_error

log = logging.getLogger(__name__)

BATCH = 10
"""Clips deleted at once: nobody has to wait long for the journal."""
ORDER = (ClipKind.CONTINUOUS, ClipKind.EVENT)
"""What goes first where the disk runs short."""


class Thinning:
    """Deletes what is beyond the bounds of its kind, a little at a time.

    The counts are since the start: `deleted` clips went, which freed `deleted_bytes`. As of the last look,
    `stored_bytes` is what the clips take, `is_short` whether less is free than there is to be, `over_bytes` by how much
    a bound is exceeded though all is deleted that may be, and `trouble` says so, "" where all is well.
    """

    def __init__(self, store: ClipStore, data: Path, policies: Mapping[ClipKind, Policy]) -> None:
        self.deleted = 0
        self.deleted_bytes = 0
        self.stored_bytes = 0
        self.over_bytes = 0
        self.is_short = False
        self.trouble = ""
        self._store = store
        self._data = data
        self._total_bytes = 0
        self.follow(policies)

    def follow(self, policies: Mapping[ClipKind, Policy]) -> None:
        """Keep these bounds from the next look on."""
        self._kinds = [(kind, policies[kind]) for kind in ORDER if kind in policies]

    def steps(self, now: float | None, *, ages: bool = True, without: Collection[str] = ()) -> Iterator[None]:
        """One look, and what follows from it; yields after each piece of work. Raises SinkError.

        `now` is in Unix seconds, None while the clock is not known to be right. Without `ages` every single clip is
        looked at only where a bound of size asks for it: that is cheap, and enough once a minute. The clips `without`
        a file free nothing, and are left alone. Deletions that were interrupted are completed first.
        """
        if left := self._store.claimed():
            yield from self._delete(left)
        growing = self._growing()
        free, least = self._space()
        self.stored_bytes = self._store.total_bytes() + growing.total()
        bounds = [policy.max_bytes for _, policy in self._kinds if policy.max_bytes is not None]
        if ages or free < least or (bounds and self.stored_bytes > min(bounds)):
            self.over_bytes = 0
            for kind, policy in self._kinds:
                most = None if policy.max_bytes is None else max(0, policy.max_bytes - growing[kind])
                bounded = replace(policy, max_bytes=most, min_free_bytes=least)
                clips = [
                    clip for clip in self._stored(kind, policy, now if ages else None) if clip.clip_id not in without
                ]
                yield
                yield from self._thin_out(clips, now if ages else None, bounded, is_last=kind is self._kinds[-1][0])
            self.stored_bytes = self._store.total_bytes() + growing.total()
        free, least = self._space()
        self.is_short = free < least
        self._say()

    def _stored(self, kind: ClipKind, policy: Policy, now: float | None) -> list[StoredClip]:
        """The clips of a kind, with the labels of those alone for which they matter: to look them up takes longest."""
        if now is None or not policy.label_max_age:
            return self._store.stored(kind, labels=False)
        return self._store.stored(kind, unlabelled=(now - policy.least_age_limit, now))

    def _thin_out(
        self, clips: Sequence[StoredClip], now: float | None, policy: Policy, *, is_last: bool
    ) -> Iterator[None]:
        """Keep the clips of one kind within their policy, and note by how much that is impossible."""
        doomed = to_delete(clips, now, self._space()[0], policy)
        for first in range(0, len(doomed), BATCH):
            yield from self._delete(self._store.claim(doomed[first : first + BATCH]))
        if doomed:
            log.info("%d clips deleted: they were beyond what [retention] allows", len(doomed))
        gone = set(doomed)
        left = [clip for clip in clips if clip.clip_id not in gone]
        # What is short of free space may still be had from the next kind.
        reachable = policy if is_last else replace(policy, min_free_bytes=0)
        self.over_bytes = max(self.over_bytes, beyond_reach(left, self._space()[0], reachable))

    def _delete(self, claimed: Sequence[ClipRow]) -> Iterator[None]:
        self.deleted_bytes += delete(self._store, self._data, claimed)
        self.deleted += len(claimed)
        yield

    def _growing(self) -> Counter[ClipKind]:
        """What the clips take that are being recorded."""
        found: Counter[ClipKind] = Counter()
        for clip in self._store.growing():
            part = part_of(clip_file(self._data, clip))
            found[clip.kind] += part.stat().st_size if part.exists() else 0
        return found

    def _space(self) -> tuple[int, int]:
        """How many bytes are free where the clips lie, and how many are to be."""
        folder = self._data / CLIPS
        with as_sink_error(self._data):
            usage = shutil.disk_usage(folder if folder.exists() else self._data)
        self._total_bytes = usage.total
        return usage.free, max((each for each in self._wanted() if each < usage.total), default=0)

    def _wanted(self) -> list[int]:
        return [policy.min_free_bytes for _, policy in self._kinds]

    def _say(self) -> None:
        said, self.trouble = self.trouble, self._complaint()
        if self.trouble and self.trouble.partition(":")[0] != said.partition(":")[0]:
            log.warning("%s", self.trouble)

    def _complaint(self) -> str:
        impossible = [each for each in self._wanted() if each >= self._total_bytes]
        if impossible:
            return (
                f"retention.min_free_bytes is {impossible[0]}, and the whole disk has {self._total_bytes}:"
                " nothing is deleted for it; set it lower"
            )
        if self.over_bytes:
            return (
                f"clips are {self.over_bytes / 1e6:.0f} MB over their bounds: what is left are favourites, or files"
                " that are not clips; delete some, or allow more"
            )
        return ""
