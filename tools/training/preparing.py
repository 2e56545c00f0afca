"""From labelled pictures to what the network learns from: the split, the scaled pictures, the settings they are for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from conversion.writing import appearing

from edgecam import console
from edgecam.errors import InputError
from training.anchors import AnchorGrid, Floats, Size, fit_shapes
from training.labelled import LabelError, Labelled, LabelledPicture, read_picture
from training.shards import Shard

ROOM = 1.25  # of the input's sides: what zooming into a picture may cut off
PICTURES_PER_SHARD = 500
FEWEST = 10


@dataclass(frozen=True)
class Recipe:
    """What decides the weights that come out. `size` is the input's; `rate` the highest learning rate."""

    size: Size = (320, 192)
    epochs: int = 100
    batch: int = 16
    rate: float = 1e-3
    start: str = "demo"
    held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """Pictures to learn from, and pictures to be judged by."""

    labels: tuple[str, ...]
    train: tuple[LabelledPicture, ...]
    validation: tuple[LabelledPicture, ...]


def split(labelled: Labelled, fraction: float, separate: Labelled | None = None) -> Split:
    """Divide the pictures: as `separate` or the layout itself says, else `fraction` of them by their files' names.

    The same names fall on the same sides whatever the layout. Raises InputError where one side has too little, or
    where `separate` has labels that there is nothing to learn of.
    """
    if separate is not None:
        foreign = sorted(set(separate.labels) - set(labelled.labels))
        if foreign:
            raise InputError(f"--validation has labels that are not to be learned: {', '.join(foreign)}")
        kept = {picture.path for picture in separate.pictures}
        train = tuple(picture for picture in labelled.pictures if picture.path not in kept)
        validation = separate.pictures
    else:
        mixed = sorted((picture.path for picture in labelled.pictures), key=_lot)
        chosen = labelled.validation or set(mixed[: max(1, round(len(mixed) * fraction))])
        train = tuple(picture for picture in labelled.pictures if picture.path not in chosen)
        validation = tuple(picture for picture in labelled.pictures if picture.path in chosen)
    objects = [sum(not thing.difficult for p in side for thing in p.things) for side in (train, validation)]
    if len(train) < FEWEST or not validation or not all(objects):
        raise InputError(
            f"{len(train)} pictures with {objects[0]} objects to learn from, {len(validation)} with {objects[1]} to be"
            f" judged by: {FEWEST} and 1 at least, both with objects; label more"
        )
    return Split(labelled.labels, train, validation)


def _lot(path: Path) -> bytes:
    """What a file's name draws."""
    return hashlib.sha256(path.stem.encode()).digest()


def claim(work: Path, parts: Split, recipe: Recipe) -> None:
    """Make a folder this training's own. Raises InputError where it is another's."""
    known = [[(p.path.name, p.things) for p in side] for side in (parts.train, parts.validation)]
    digest = hashlib.sha256(repr((parts.labels, known)).encode()).hexdigest()
    settings = json.dumps({"recipe": asdict(recipe), "labels": parts.labels, "pictures": digest}, indent=1)
    path = work / "settings.json"
    if not path.exists():
        with appearing(path) as part:
            part.write_text(settings)
    elif path.read_text() != settings:
        raise InputError(
            f"{work.parent}: holds a training with other pictures or options: repeat those, give another --output,"
            " or --fresh to begin anew"
        )


def prepared(
    work: Path, name: str, pictures: Sequence[LabelledPicture], labels: Sequence[str], to: Size
) -> list[Shard]:
    """The pictures stretched to the size `to`, and their boxes; made once, then found in the folder.

    Raises LabelError for a broken picture.
    """
    shards = []
    with console.progress(f"scaling, {name}", len(pictures)) as tick:
        for count, first in enumerate(range(0, len(pictures), PICTURES_PER_SHARD)):
            path = work / f"{name}-{count:04d}.npy"
            some = pictures[first : first + PICTURES_PER_SHARD]
            if not path.exists():
                scaled = [cv2.resize(read_picture(p), to, interpolation=cv2.INTER_AREA) for p in some]
                images = np.asarray(np.stack(scaled), np.uint8)
                Shard(images, [boxes_of(picture, labels) for picture in some]).save(path)
            tick(len(some))
            shards.append(Shard.load(path))
    return shards


def room_for(size: Size) -> Size:
    """The size that pictures to learn from are kept in."""
    return round(size[0] * ROOM), round(size[1] * ROOM)


def boxes_of(picture: LabelledPicture, labels: Sequence[str]) -> Floats:
    """A picture's objects as boxes [k, 6]; see anchors.py."""
    rows = [(*thing.bbox, labels.index(thing.label), float(thing.difficult)) for thing in picture.things]
    return np.array(rows, np.float32).reshape(-1, 6)


def anchors(work: Path, shards: Sequence[Shard], size: Size) -> AnchorGrid:
    """The anchors fitted to the objects (once; then kept in anchors.json)."""
    path = work / "anchors.json"
    if not path.exists():
        boxes = np.concatenate([boxes for shard in shards for boxes in shard.boxes])
        with appearing(path) as part:
            part.write_text(json.dumps(fit_shapes(boxes[boxes[:, 5] == 0], size)))
    return AnchorGrid.lay_out(json.loads(path.read_text()), size)


def broken(pictures: Sequence[LabelledPicture]) -> Iterator[str]:
    """One line for each picture that cannot be used."""
    with console.progress("looking at pictures", len(pictures)) as tick:
        for picture in pictures:
            try:
                read_picture(picture)
            except LabelError as error:
                yield str(error)
            tick(1)


def readable(labelled: Labelled) -> Labelled:
    """The same without the pictures that cannot be used."""
    return replace(labelled, pictures=tuple(p for p in labelled.pictures if not any(broken([p]))))


def write_coco(path: Path, pictures: Sequence[LabelledPicture], labels: Sequence[str]) -> None:
    """The pictures as COCO annotations, for `edgecam evaluate`."""
    images: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for picture in pictures:
        height, width = read_picture(picture).shape[:2]
        images.append(
            {"id": len(images) + 1, "file_name": str(picture.path.resolve()), "width": width, "height": height}
        )
        for thing in picture.things:
            box = thing.bbox
            x, y, w, h = box.xmin * width, box.ymin * height, box.width * width, box.height * height
            note = {"id": len(notes) + 1, "image_id": len(images), "category_id": labels.index(thing.label) + 1}
            notes.append(note | {"bbox": [x, y, w, h], "area": w * h, "iscrowd": int(thing.difficult)})
    categories = [{"id": count, "name": label} for count, label in enumerate(labels, 1)]
    with appearing(path) as part:
        part.write_text(json.dumps({"images": images, "annotations": notes, "categories": categories}))
