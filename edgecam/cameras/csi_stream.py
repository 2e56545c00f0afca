"""One open camera of picamera2: its requests, waited for with a time-out, and an end that is bounded."""

from __future__ import annotations

import gc
import logging
import os
import select
import threading
from collections import deque
from time import monotonic
from typing import Any

from edgecam.cameras.csi_choice import Found
from edgecam.cameras.csi_library import LIBRARY_ERRORS, OPENING, Library, reason
from edgecam.cameras.csi_settings import CsiSettings, Granted, granted, request
from edgecam.errors import CameraError, InputError

log = logging.getLogger(__name__)

#: Longest wait, seconds, for another camera that is being opened or closed, and for the end of this one.
OPEN_LIMIT, CLOSE_LIMIT = 10.0, 3.0


class CsiStream:
    """A running camera, read by one thread.

    The thread that reads is picamera2's event loop as well: no frame waits for another thread, nothing else can hold a
    request, an error in the loop comes to the one who reads, and `stop` has no loop to wait for that may have
    died. (With picamera2's own loop a `capture_request` that timed out takes a request later and keeps it
    for ever, and `stop` waits behind it.)
    """

    def __init__(self, library: Library, found: Found, settings: CsiSettings) -> None:
        """Open and start. Raises CameraError, and InputError for settings that this camera cannot meet."""
        self.name = found.name
        self._completed: deque[Any] = deque()
        self._poll = select.poll()
        self._picam2: Any = None
        if not OPENING.acquire(timeout=OPEN_LIMIT):
            raise CameraError(f"{self.name}: another camera hangs while it is opened or closed: restart edgecam")
        try:
            self._picam2 = _opened(library, found)
        finally:
            OPENING.release()
        try:
            self.granted = self._started(library, settings)
        except (CameraError, InputError):
            self.close()
            raise

    def next(self, timeout: float) -> Any | None:
        """The oldest completed request, None if none came in time. Give it back with `release`. Raises CameraError."""
        deadline = monotonic() + timeout
        while not self._completed:
            if not self._poll.poll(max(0.0, deadline - monotonic()) * 1000):
                return None
            try:
                self._picam2.notifymeread.read()
                self._picam2.process_requests(None)
            except LIBRARY_ERRORS as error:
                raise CameraError(f"{self.name}: failed: {reason(error)}") from error
        return self._completed.popleft()

    def release(self, request: Any) -> None:
        """Give a request, and with it its buffers, back to the camera. Raises CameraError."""
        try:
            request.release()
        except LIBRARY_ERRORS as error:
            raise CameraError(f"{self.name}: failed: {reason(error)}") from error

    def close(self) -> threading.Thread | None:
        """Stop and close. The thread that does it, where it has not come to its end within CLOSE_LIMIT.

        What does not end is left to itself. Nobody can help where libcamera's own `stop` hangs in the kernel
        (picamera2#1275): its bindings hold the GIL meanwhile, and so the whole process, until a watchdog ends it.
        """
        thread = threading.Thread(target=self._close, name=f"close-{self.name}", daemon=True)
        thread.start()
        thread.join(CLOSE_LIMIT)
        if not thread.is_alive():
            return None
        log.error("%s: does not stop: left behind after %g s", self.name, CLOSE_LIMIT)
        return thread

    def _started(self, library: Library, settings: CsiSettings) -> Granted:
        picam2 = self._picam2
        try:
            picam2.configure(request(library, picam2, settings, self.name))
            found = granted(library, picam2.camera_configuration(), settings, self.name)
            picam2.post_callback = self._keep
            self._poll.register(picam2.notifyme_r, select.POLLIN)
            picam2.start(show_preview=None)
        except (CameraError, InputError):
            raise
        except LIBRARY_ERRORS as error:
            raise _start_error(self.name, settings, reason(error)) from error
        return found

    def _keep(self, request: Any) -> None:
        request.acquire()
        self._completed.append(request)

    def _close(self) -> None:
        picam2 = self._picam2
        picam2.post_callback = None
        while self._completed:
            self._quietly(self._completed.popleft().release)
        if not self._quietly(picam2.stop):
            picam2.started = False  # so that `close` goes on to give the camera back
        with OPENING:
            self._quietly(picam2.close)
        # Its parts point at one another, and some hold a file each: not even an unattended year may gather them.
        del picam2
        self._picam2 = None
        gc.collect()

    def _quietly(self, action: Any) -> bool:
        try:
            action()
        except LIBRARY_ERRORS as error:
            log.debug("%s: while closing: %s", self.name, reason(error))
            return False
        return True


def _opened(library: Library, found: Found) -> Any:
    """The camera, acquired. What picamera2 leaves behind where it fails half-way is put away."""
    cls = library.picamera2.Picamera2
    picam2 = cls.__new__(cls)
    try:
        picam2.__init__(found.number)
    except LIBRARY_ERRORS as error:
        _put_away(picam2)
        raise CameraError(f"{found.name}: cannot be opened: {reason(error)}") from error
    return picam2


def _put_away(picam2: Any) -> None:
    """Undo a constructor that failed: it would keep its pipe, its place in picamera2's list, perhaps the camera."""
    try:
        if picam2.is_open:
            picam2.close()
            return
        picam2._cm.cleanup(picam2.camera_idx)  # noqa: SLF001 -- nothing public undoes it
        picam2.notifymeread.close()
        os.close(picam2.notifyme_w)
    except LIBRARY_ERRORS as error:
        log.debug("while putting a camera away: %s", reason(error))


def _start_error(name: str, settings: CsiSettings, why: str) -> CameraError | InputError:
    size = f"{settings.size[0]}x{settings.size[1]}"
    if "Invalid camera configuration" in why or "Configuration failed" in why:
        return InputError(f"{name}: size {size}: it cannot give that: choose one that `edgecam cameras` lists")
    if "allocate" in why or "Cannot allocate memory" in why:
        return CameraError(
            f"{name}: size {size}: no memory for its buffers (CMA): choose a smaller size, or set"
            " dtoverlay=vc4-kms-v3d,cma-256 in /boot/firmware/config.txt and reboot"
        )
    return CameraError(f"{name}: cannot be started: {why}")
