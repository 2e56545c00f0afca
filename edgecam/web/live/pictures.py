"""The newest picture of a camera as JPEG: made when it is wanted, once for all who want it in one size."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import Executor
from typing import NamedTuple

from edgecam.newest import NewestFrame
from edgecam.sinks.jpeg import jpeg
from edgecam.types import AnnotatedFrame
from edgecam.yuv import i420_from_planes, planes

FORMS = 8
"""Sizes whose newest picture is kept."""


class Form(NamedTuple):
    """How a picture is wanted: its height in pixels, 0 as it is; with boxes; JPEG's quality, 1 to 100."""

    height: int
    boxes: bool
    quality: int


class Picture(NamedTuple):
    """A frame as JPEG."""

    sequence: int
    timestamp: float
    jpeg: bytes


class Pictures:
    """Of one camera, made in `thread`. For the server's loop alone. `made` counts them."""

    def __init__(self, newest: NewestFrame, thread: Executor) -> None:
        self.made = 0
        self._newest = newest
        self._thread = thread
        self._kept: OrderedDict[Form, asyncio.Future[Picture]] = OrderedDict()

    async def get(self, form: Form, age: float) -> Picture | None:
        """The newest picture, or one that is there and less than `age` seconds older; None where there is none."""
        newest = self._newest.get()
        if newest is None:
            return None
        kept = self._kept.get(form)
        if kept is None or (kept.done() and not _is_fresh(kept, newest, age)):
            kept = asyncio.get_running_loop().run_in_executor(self._thread, _picture, newest, form)
            self.made += 1
            self._kept[form] = kept
            if len(self._kept) > FORMS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(form)
        return await asyncio.shield(kept)


def _is_fresh(kept: asyncio.Future[Picture], newest: AnnotatedFrame, age: float) -> bool:
    if kept.cancelled() or kept.exception() is not None:
        return False
    picture = kept.result()
    return picture.sequence == newest.frame.sequence or abs(newest.frame.timestamp - picture.timestamp) < age


def _picture(annotated: AnnotatedFrame, form: Form) -> Picture:
    image, frame = annotated.image if form.boxes else annotated.frame.main, annotated.frame
    if 0 < form.height < frame.height:
        width = max(2, round(frame.width * form.height / frame.height / 2) * 2)
        image = i420_from_planes(planes(image), (width, form.height // 2 * 2))
    return Picture(frame.sequence, frame.timestamp, jpeg(image, form.quality))
