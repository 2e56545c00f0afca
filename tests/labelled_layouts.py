"""Rendered pictures with labels, written as labelling tools write them: COCO's layout, Pascal VOC's, YOLO's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.scenes import Scene

WIDTH, HEIGHT = 640, 360
#: The bundled model knows none of these names, so that its scores cannot be taken over.
NAMES = {"person": "walker", "car": "vehicle", "dog": "animal", "bird": "animal"}
LABELS = ("animal", "vehicle", "walker")


@dataclass(frozen=True)
class Shot:
    """A picture, RGB uint8 [h, w, 3], and what is in it: labels with xmin, ymin, xmax, ymax in whole pixels."""

    name: str
    image: NDArray[np.uint8]
    things: tuple[tuple[str, tuple[int, int, int, int]], ...]


def shots(seeds: Iterable[int]) -> list[Shot]:
    """One moment of each scene, labelled as people would: what is hidden or tiny is left out."""
    return [_shot(seed) for seed in seeds]


def _shot(seed: int) -> Shot:
    view = Scene(seed, width=WIDTH, height=HEIGHT).render(np.random.default_rng(seed).uniform(0, 10))
    things = []
    for item in view.objects:
        scaled = [round(edge * side) for edge, side in zip(item.bbox, (WIDTH, HEIGHT) * 2, strict=True)]
        xmin, ymin, xmax, ymax = scaled
        if not item.difficult and xmin < xmax and ymin < ymax:
            things.append((NAMES[item.label], (xmin, ymin, xmax, ymax)))
    return Shot(f"shot-{seed}", view.image, tuple(things))


def write_coco(folder: Path, pictures: Iterable[Shot]) -> Path:
    """annotations.json beside `images`."""
    images: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for shot in pictures:
        name = f"{shot.name}.jpg"
        _write_picture(folder / "images" / name, shot.image)
        height, width = shot.image.shape[:2]
        images.append({"id": len(images) + 7, "file_name": name, "width": width, "height": height})
        for label, (xmin, ymin, xmax, ymax) in shot.things:
            box = [xmin, ymin, xmax - xmin, ymax - ymin]
            notes.append(
                {"id": len(notes), "image_id": images[-1]["id"], "category_id": LABELS.index(label) + 1, "bbox": box}
            )
    categories = [{"id": count, "name": label} for count, label in enumerate(LABELS, 1)]
    document = {"images": images, "annotations": notes, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def write_voc(folder: Path, pictures: Iterable[Shot]) -> Path:
    """Annotations and JPEGImages."""
    (folder / "Annotations").mkdir(parents=True)
    for shot in pictures:
        _write_picture(folder / "JPEGImages" / f"{shot.name}.jpg", shot.image)
        height, width = shot.image.shape[:2]
        objects = "".join(
            f"<object><name>{escape(label)}</name><difficult>0</difficult><bndbox><xmin>{xmin + 1}</xmin>"
            f"<ymin>{ymin + 1}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
            for label, (xmin, ymin, xmax, ymax) in shot.things
        )
        (folder / "Annotations" / f"{shot.name}.xml").write_text(
            f"<annotation><filename>{shot.name}.jpg</filename>"
            f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>{objects}</annotation>"
        )
    return folder


def write_yolo(folder: Path, pictures: Iterable[Shot]) -> Path:
    """images, labels and data.yaml."""
    (folder / "labels").mkdir(parents=True)
    (folder / "data.yaml").write_text("path: .\ntrain: images\nnc: 3\nnames: ['animal', \"vehicle\", walker]\n")
    for shot in pictures:
        _write_picture(folder / "images" / f"{shot.name}.jpg", shot.image)
        height, width = shot.image.shape[:2]
        lines = [
            f"{LABELS.index(label)} {(xmin + xmax) / 2 / width:.6f} {(ymin + ymax) / 2 / height:.6f}"
            f" {(xmax - xmin) / width:.6f} {(ymax - ymin) / height:.6f}\n"
            for label, (xmin, ymin, xmax, ymax) in shot.things
        ]
        (folder / "labels" / f"{shot.name}.txt").write_text("".join(lines))
    return folder


def _write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
