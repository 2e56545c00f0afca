"""The monitor itself, without a desktop: the kernel's mode setting, through libdrm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EACCES, EBUSY, EPERM
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import SinkError
from edgecam.sinks.drm_card import YUV420, Card, Connector, SavedScreen
from edgecam.sinks.drm_library import NAME
from edgecam.sinks.drm_scanout import DrawnScanout, PlaneScanout, Scanout, Target

DEVICES = Path("/dev/dri")

LOOK_INTERVAL = 1.0
"""Seconds between two looks at whether the monitor is still there."""

_TAKEN = "another program owns the display: stop the desktop, or set display.backend to window"


def cards() -> list[Path]:
    """The graphics cards that may have a monitor."""
    return sorted(DEVICES.glob("card*"))


class DrmScreen:
    """A `Screen` on a monitor, in the mode that the monitor prefers.

    Where the card has an overlay plane that takes YUV 4:2:0 and scales it, the display does all the work; else the
    picture is converted and scaled here. What the monitor showed before is put back by `close`; the kernel does the
    same where the process dies.
    """

    #: What gives it a card at a path, the paths there are, and the time.
    card_at: Callable[[Path], Card] = Card
    paths: Callable[[], Sequence[Path]] = staticmethod(cards)
    now: Callable[[], float] = staticmethod(monotonic)

    def __init__(self, card: str = "", connector: str = "") -> None:
        """Remember which: `card` is /dev/dri/cardN, `connector` as in "HDMI-A-1"; "": the first with a monitor."""
        self._card_path, self._wanted = card, connector
        self._card: Card | None = None
        self._connector: Connector | None = None
        self._saved: SavedScreen | None = None
        self._target: Target | None = None
        self._scanout: Scanout | None = None
        self._may_overlay = True
        self._looked = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the monitor's mode, pixels. Raises SinkError while it is not open."""
        if self._target is None:
            raise SinkError("the display is not open")
        return self._target.size

    def open(self) -> str:
        """Take the monitor; returns as in "1920x1080 on HDMI-A-1". Raises SinkError with a plain reason."""
        self.close()
        try:
            return self._open()
        except SinkError:
            self.close()
            raise

    def show(self, image: NDArray[np.uint8], width: int, height: int) -> None:
        """Show an I420 picture, uint8 [height * 3 // 2, width]. Raises SinkError where the monitor is lost."""
        if self._target is None:
            raise SinkError("the display is not open")
        with self._translated():
            self._look()
            self._show(self._target, image)

    def keys(self) -> list[str]:
        """None: the keyboard is the console's."""
        return []

    def close(self) -> None:
        """Show again what was shown before, and give the card back. Safe to call twice."""
        card, saved, scanout = self._card, self._saved, self._scanout
        self._card = self._saved = self._scanout = self._target = None
        if card is None:
            return
        if saved is not None:
            with suppress(OSError):
                card.restore(saved)
        if scanout is not None:
            with suppress(OSError):
                scanout.close()
        card.close()

    def _open(self) -> str:
        with self._translated():
            self._card, self._connector = card, connector = self._find()
            card.take()
            crtc, place = card.crtc_for(connector.number)
            self._saved = card.save(crtc, connector.number)
            self._target = Target(card, crtc, place, connector.number, connector.modes[0])
            self._looked = self.now()
            self._scanout = self._best_scanout(self._target)
        return "{}x{} on {}".format(*self._target.size, connector.name)

    def _find(self) -> tuple[Card, Connector]:
        """The card and the connector with a monitor. Raises SinkError, OSError."""
        paths = [Path(self._card_path)] if self._card_path else list(self.paths())
        if not paths:
            raise SinkError("no graphics card: /dev/dri has none (on a Raspberry Pi: dtoverlay=vc4-kms-v3d)")
        seen: list[str] = []
        troubles: list[OSError] = []
        for path in paths:
            card = self.card_at(path)
            try:
                card.open()
                connectors = card.connectors()
            except OSError as error:
                troubles.append(error)
                card.close()
                continue
            for connector in connectors:
                if connector.connected and connector.modes and self._wanted in {"", connector.name}:
                    return card, connector
            seen += [connector.name for connector in connectors]
            card.close()
        if troubles and not seen:
            raise troubles[0]
        raise SinkError(self._nothing(seen))

    def _nothing(self, seen: list[str]) -> str:
        if self._wanted and self._wanted not in seen:
            return f"no connector {self._wanted}: there is {', '.join(seen) or 'none'}"
        return f"no monitor on {self._wanted or ', '.join(seen) or 'any graphics card'}"

    def _best_scanout(self, target: Target) -> Scanout:
        fitting = target.card.overlays(target.crtc_place, YUV420) if self._may_overlay else []
        return PlaneScanout(target, fitting[0]) if fitting else DrawnScanout(target)

    def _show(self, target: Target, image: NDArray[np.uint8]) -> None:
        assert self._scanout is not None
        try:
            self._scanout.show(image)
        except OSError as error:
            if not isinstance(self._scanout, PlaneScanout) or error.errno in {EACCES, EPERM}:
                raise
            # A plane does not say before whether it can scale so far.
            self._scanout.close()
            self._may_overlay = False
            self._scanout = DrawnScanout(target)
            self._scanout.show(image)

    def _look(self) -> None:
        """Raises SinkError where the monitor was pulled."""
        if self.now() - self._looked < LOOK_INTERVAL:
            return
        self._looked = self.now()
        assert self._card is not None
        assert self._connector is not None
        if not self._card.is_connected(self._connector.number):
            raise SinkError(f"no monitor on {self._connector.name}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The operating system's errors, in words that help."""
        try:
            yield
        except SinkError:
            raise
        except PermissionError as error:
            raise SinkError(self._denied(error)) from error
        except OSError as error:
            if error.errno == EBUSY:
                raise SinkError(_TAKEN) from error
            raise SinkError(_reason(error)) from error

    def _denied(self, error: PermissionError) -> str:
        if self._card is None and error.filename:
            return f"no permission on {error.filename}: add this user to the group video (sudo usermod -aG video USER)"
        return _TAKEN


def _reason(error: OSError) -> str:
    if error.errno is None and NAME in str(error):
        return f"{NAME} is missing: apt-get install libdrm2"
    return error.strerror or str(error)
