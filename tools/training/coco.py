"""COCO's layout: one JSON file with images, annotations and categories."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from training.labelled import LabelError, Labelled, LabelledPicture, Thing, box_of, gathered, number, read_text

_WANTED = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_FOLDERS = ("", "images", "../images")


def is_coco(path: Path) -> bool:
    """Does a JSON file look like COCO's?"""
    return path.suffix.lower() == ".json" and all(f'"{key}"' in read_text(path) for key in _WANTED)


def read(path: Path, pictures: Path | None = None) -> Labelled:
    """The pictures that a file of annotations names; they lie in `pictures`, beside it or in `images`.

    Raises LabelError where the file is no such file; a broken label is a complaint.
    """
    document = _document(path)
    names = {entry["id"]: str(entry["name"]) for entry in document["categories"]}
    if len(set(names.values())) != len(document["categories"]):
        raise LabelError(f"{path}: two categories have one name or one id: give each its own")
    notes: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for entry in document["annotations"]:
        notes[entry["image_id"]].append(entry)
    known = {entry["id"] for entry in document["images"]}
    strays = [
        f"{path}: annotation {entry.get('id', '?')}: no picture has the id {image!r}: correct it or take it out"
        for image, entries in notes.items()
        if image not in known
        for entry in entries
    ]
    found, complaints = gathered(
        partial(_picture, path, entry, notes[entry["id"]], names, pictures) for entry in document["images"]
    )
    labels = tuple(names[key] for key in sorted(names))
    return Labelled("COCO", labels, found, (*strays, *complaints))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: not JSON ({error}): give a file of COCO annotations") from error
    for key, fields in _WANTED.items():
        entries = document.get(key) if isinstance(document, dict) else None
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and all(name == "bbox" or isinstance(entry.get(name), str | int) for name in fields)
            for entry in entries
        ):
            raise LabelError(f"{path}: no COCO annotations: {key!r} must be a list of {', '.join(fields)}")
    if not all(isinstance(entry["id"], int) for entry in document["categories"]):
        raise LabelError(f"{path}: no COCO annotations: the ids of categories must be whole numbers")
    return dict(document)


def _picture(
    path: Path, entry: dict[str, Any], notes: list[dict[str, Any]], names: dict[int, str], pictures: Path | None
) -> LabelledPicture:
    where = f"{path}: {entry['file_name']}"
    width, height = (number(where, entry.get(side, 0)) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        raise LabelError(f"{where}: its width and height are not stated: export the annotations with them")
    folders = [pictures] if pictures else [path.parent / name for name in _FOLDERS]
    file = next((folder / entry["file_name"] for folder in folders if (folder / entry["file_name"]).is_file()), None)
    if file is None:
        raise LabelError(f"{where}: no such picture: put it beside the file or give --pictures")
    things = tuple(_thing(f"{where}, annotation {note.get('id', '?')}", note, names, (width, height)) for note in notes)
    return LabelledPicture(file, things, (int(width), int(height)))


def _thing(where: str, note: dict[str, Any], names: dict[int, str], size: tuple[float, float]) -> Thing:
    label = names.get(note["category_id"]) if isinstance(note["category_id"], int) else None
    if label is None:
        raise LabelError(f"{where}: no category has the id {note['category_id']!r}: correct it or take it out")
    if not isinstance(note.get("bbox"), list) or len(note["bbox"]) != 4:
        raise LabelError(f"{where}: a bbox is x, y, width, height in pixels: draw it anew")
    x, y, width, height = (number(where, value) for value in note["bbox"])
    edges = x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1]
    return Thing(label, box_of(where, edges), bool(note.get("iscrowd")))
