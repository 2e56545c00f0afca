"""What a V4L2 camera offers, and which of it to take: values only, no device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgecam.errors import InputError

Size = tuple[int, int]
Rates = Callable[[str, Size], Sequence[float]]

FORMATS = {"yu12": "YU12", "nv12": "NV12", "yuyv": "YUYV", "mjpeg": "MJPG"}
"""The formats that edgecam takes, by V4L2's four characters; those that cost less come first."""

USUAL_SIZE = (1280, 720)
"""Without a size in the configuration: the largest that fits into this, pixels."""

USUAL_FPS = 30.0
"""Without a rate in the configuration: this, or the nearest below it."""


class Sizes(NamedTuple):
    """All sizes from `smallest` to `largest` (width, height) in steps, pixels; often one size only."""

    smallest: Size
    largest: Size
    step: Size = (1, 1)

    def __contains__(self, size: object) -> bool:
        return isinstance(size, tuple) and all(
            low <= value <= high and (value - low) % step == 0
            for low, value, high, step in zip(self.smallest, size, self.largest, self.step, strict=True)
        )

    def within(self, limit: Size) -> Size | None:
        """The largest size that fits into `limit`; None where the smallest does not."""
        width, height = (
            low + (min(high, most) - low) // step * step
            for low, high, step, most in zip(self.smallest, self.largest, self.step, limit, strict=True)
        )
        return (width, height) if width >= self.smallest[0] and height >= self.smallest[1] else None

    def __str__(self) -> str:
        low, high = ("{}x{}".format(*size) for size in (self.smallest, self.largest))
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True, slots=True)
class Offer:
    """One pixel format of a camera, by V4L2's four characters, and its sizes."""

    fourcc: str
    sizes: tuple[Sizes, ...]

    @property
    def name(self) -> str:
        """The format's name in edgecam's configuration; V4L2's where edgecam does not take it."""
        return next((name for name, fourcc in FORMATS.items() if fourcc == self.fourcc), self.fourcc)

    @property
    def taken(self) -> bool:
        """Does edgecam take this format?"""
        return self.fourcc in FORMATS.values()

    def __contains__(self, size: Size) -> bool:
        return any(size in sizes for sizes in self.sizes)

    def usual(self) -> Size:
        """The largest size within USUAL_SIZE, or the smallest there is."""
        fitting = [size for sizes in self.sizes if (size := sizes.within(USUAL_SIZE))]
        return max(fitting, key=area) if fitting else min((sizes.smallest for sizes in self.sizes), key=area)

    def __str__(self) -> str:
        return f"{self.name} {', '.join(map(str, self.sizes))}"


class Mode(NamedTuple):
    """What is asked of a camera: V4L2's four characters, width and height in pixels, frames per second."""

    fourcc: str
    size: Size
    fps: float


def area(size: Size) -> int:
    return size[0] * size[1]


def choose(offers: Iterable[Offer], rates: Rates, form: str, size: Size | None, fps: float | None) -> Mode:
    """The mode to ask for; `form` is a name of FORMATS or "auto", `rates` tells a mode's rates, if the camera does.

    Of the formats that have the size, the cheapest that reaches the frame rate, else the fastest. Raises InputError,
    listing what there is, where nothing suits.
    """
    taken = sorted((offer for offer in offers if offer.taken), key=lambda offer: list(FORMATS).index(offer.name))
    allowed = [offer for offer in taken if form in {"auto", offer.name} and offer.sizes]
    if not allowed:
        raise InputError(_no_format(form, tuple(offers), taken))
    wanted = size or max((offer.usual() for offer in allowed), key=lambda usual: (_fits(usual), area(usual)))
    able = [offer for offer in allowed if wanted in offer]
    if not able:
        raise InputError(f"no size {wanted[0]}x{wanted[1]}: it offers {'; '.join(map(str, allowed))}")
    modes = [Mode(offer.fourcc, wanted, _rate(rates(offer.fourcc, wanted), fps or USUAL_FPS)) for offer in able]
    fast = [mode for mode in modes if mode.fps >= (fps or USUAL_FPS) * 0.99]
    return fast[0] if fast else max(modes, key=lambda mode: mode.fps)


def _fits(size: Size) -> bool:
    return size[0] <= USUAL_SIZE[0] and size[1] <= USUAL_SIZE[1]


def _rate(offered: Sequence[float], wanted: float) -> float:
    """The slowest rate that is fast enough, else the fastest; the wanted one where the camera does not tell."""
    enough = [rate for rate in offered if rate >= wanted * 0.99]
    return min(enough) if enough else max(offered, default=wanted)


def _no_format(form: str, offers: Sequence[Offer], taken: Sequence[Offer]) -> str:
    has = ", ".join(offer.name for offer in (taken or offers)) or "nothing"
    if taken:
        return f"no format {form}: it offers {has}"
    return f"it offers only {has}: edgecam takes {', '.join(FORMATS)}"
