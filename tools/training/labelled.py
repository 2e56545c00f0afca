"""Labelled pictures as every layout gives them, and what is wrong with those that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError
from edgecam.types import BBox

#: A box may reach over the picture's edge by this part of its side, as hands and rounding do; it is cut there.
SLACK = 0.02
PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class LabelError(InputError):
    """One label, or one file of labels, that cannot be used: the file, what is wrong and what to do."""


@dataclass(frozen=True)
class Thing:
    """One labelled object. `difficult`: neither to be found nor to be missed (VOC's difficult, COCO's crowd)."""

    label: str
    bbox: BBox
    difficult: bool = False


@dataclass(frozen=True)
class LabelledPicture:
    """A picture's file, its width and height in pixels where the labels state them, and what is in it."""

    path: Path
    things: tuple[Thing, ...]
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Labelled:
    """Pictures of one source. `labels` in the order of the classes; `complaints`: one line for each broken label.

    `validation`: the pictures that the source itself keeps for validation, if it does.
    """

    layout: str
    labels: tuple[str, ...]
    pictures: tuple[LabelledPicture, ...]
    complaints: tuple[str, ...] = ()
    validation: frozenset[Path] = frozenset()

    def counts(self) -> dict[str, int]:
        """How many objects of each label there are, difficult ones left out."""
        found = dict.fromkeys(self.labels, 0)
        for picture in self.pictures:
            for thing in picture.things:
                found[thing.label] += not thing.difficult
        return found


def box_of(where: str, edges: Sequence[float]) -> BBox:
    """A box from xmin, ymin, xmax, ymax in fractions, cut at the picture's edge. Raises LabelError."""
    box = BBox(*edges)
    if box.width <= 0 or box.height <= 0:
        raise LabelError(f"{where}: a box without a width or height: draw it anew")
    if min(box) < -SLACK or max(box) > 1 + SLACK:
        raise LabelError(f"{where}: a box outside its picture ({_percent(box)}): draw it anew")
    return box.clipped()


def _percent(box: BBox) -> str:
    return f"x {box.xmin:.0%} to {box.xmax:.0%}, y {box.ymin:.0%} to {box.ymax:.0%}"


def number(where: str, text: object) -> float:
    """A number as labels have it. Raises LabelError."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise LabelError(f"{where}: {text!r} where a number is wanted: correct it")
    return value


def gathered(
    readers: Iterable[Callable[[], LabelledPicture]],
) -> tuple[tuple[LabelledPicture, ...], tuple[str, ...]]:
    """What the readers give, and the complaints of those that give nothing."""
    pictures, complaints = [], []
    for read in readers:
        try:
            pictures.append(read())
        except LabelError as error:
            complaints.append(str(error))
    return tuple(pictures), tuple(complaints)


def read_text(path: Path) -> str:
    """A file of labels. Raises LabelError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}): check the file") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: not a text in UTF-8: save it as that") from error


def pictures_by_name(folder: Path) -> dict[str, Path]:
    """The pictures in a folder and those below it, by their path without the ending."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_ENDINGS)
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def read_picture(picture: LabelledPicture) -> NDArray[np.uint8]:
    """RGB, uint8 [h, w, 3], as stored. Raises LabelError where it is none, or not as large as its labels say.

    EXIF's rotation is not applied: `edgecam evaluate` does not either, and boxes are right on one of the two only.
    """
    try:
        data = np.frombuffer(picture.path.read_bytes(), np.uint8)
    except OSError as error:
        raise LabelError(f"{picture.path}: cannot be read ({error.strerror}): check the file") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if image is None:
        raise LabelError(f"{picture.path}: not a picture that can be read: replace it or take it out")
    height, width = image.shape[:2]
    if picture.size not in (None, (width, height)):
        stated = "x".join(map(str, picture.size or ()))
        turned = ", it is kept turned (EXIF)" if picture.size == (height, width) else ""
        raise LabelError(
            f"{picture.path}: {width}x{height}, but its labels are for {stated}{turned}: label the file as it is"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
