"""YOLO's layout: a text file for each picture, names in data.yaml, classes.txt, obj.names or labels.txt."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from training.labelled import (
    LabelError,
    Labelled,
    LabelledPicture,
    Thing,
    box_of,
    gathered,
    number,
    pictures_by_name,
    read_text,
)

_DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAME_LISTS = ("classes.txt", "obj.names", "labels.txt", "labels/classes.txt")
_ENTRY = re.compile(r"\s*(?:-|(\d+)\s*:)\s+(.+)")


def names_file(folder: Path) -> Path | None:
    """The file with the names of the classes, if the folder has one."""
    return next((folder / name for name in (*_DESCRIPTIONS, *_NAME_LISTS) if (folder / name).is_file()), None)


def read(folder: Path, pictures: Path | None = None) -> Labelled:
    """Every picture with a text file, beside it or where `labels` stands for `images`; without one it is left out.

    A picture with an empty text file has nothing in it. Pictures in a folder named val, valid or validation are kept
    for validation. Raises LabelError where the names of the classes are not to be had.
    """
    source = names_file(folder)
    if source is None:
        raise LabelError(f"{folder}: the names of the classes are missing: put them into classes.txt, one a line")
    labels = read_names(source)
    chosen = [
        (path, text)
        for path in pictures_by_name(pictures or folder).values()
        if (text := _text_of(path, folder, pictures or folder)) is not None
    ]
    found, complaints = gathered(partial(_picture, path, text, labels) for path, text in chosen)
    return Labelled("YOLO", labels, found, complaints, frozenset(path for path, _ in chosen if _for_validation(path)))


def read_names(path: Path) -> tuple[str, ...]:
    """The names of the classes, from a list or from a data.yaml. Raises LabelError."""
    text = read_text(path)
    names = (
        _yaml_names(path, text) if path.suffix in (".yaml", ".yml") else [line.strip() for line in text.splitlines()]
    )
    while names and not names[-1]:
        names.pop()
    if not names or not all(names) or len(set(names)) != len(names):
        raise LabelError(f"{path}: names of classes are missing, empty or there twice: one name for each class")
    return tuple(names)


def _yaml_names(path: Path, text: str) -> list[str]:
    """The entry `names` in the forms that labelling tools write: [a, b], a list, or numbers with names."""
    lines = [line.split(" #")[0].rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    start = next((at for at, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        raise LabelError(f"{path}: no entry names: add names: [first, second]")
    inline = lines[start].removeprefix("names:").strip()
    if inline.startswith("["):
        whole = " ".join([inline, *lines[start + 1 :]])
        return [_unquoted(name) for name in whole[1:].partition("]")[0].split(",") if name.strip()]
    names: dict[int, str] = {}
    for line in filter(str.strip, lines[start + 1 :]):
        entry = _ENTRY.fullmatch(line)
        if entry is None or inline:
            break
        names[int(entry[1]) if entry[1] else len(names)] = _unquoted(entry[2])
    if not names or sorted(names) != list(range(len(names))):
        raise LabelError(f"{path}: its names cannot be read: write names: [first, second]")
    return [names[index] for index in range(len(names))]


def _unquoted(text: str) -> str:
    return text.strip().strip("'\"").strip()


def _text_of(picture: Path, folder: Path, pictures: Path) -> Path | None:
    """The text file of a picture: beside it, or at the same place under `labels`."""
    parts = list(picture.relative_to(pictures).with_suffix(".txt").parts)
    places = [picture.with_suffix(".txt"), folder / "labels" / Path(*parts)]
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        places.append(pictures.joinpath(*parts))
    return next((place for place in places if place.is_file()), None)


def _for_validation(picture: Path) -> bool:
    return bool({"val", "valid", "validation"} & set(picture.parts[-4:-1]))


def _picture(picture: Path, text: Path, labels: tuple[str, ...]) -> LabelledPicture:
    lines = [(count, line.split()) for count, line in enumerate(read_text(text).splitlines(), 1)]
    things = tuple(_thing(f"{text}: line {count}", fields, labels) for count, fields in lines if fields)
    return LabelledPicture(picture, things)


def _thing(where: str, fields: list[str], labels: tuple[str, ...]) -> Thing:
    """One line: class, xcenter, ycenter, width, height in fractions; or class and the corners of an outline."""
    index = number(where, fields[0])
    if not index.is_integer() or not 0 <= index < len(labels):
        raise LabelError(f"{where}: class {fields[0]}, there are 0 to {len(labels) - 1}: correct it or the names")
    values = [number(where, field) for field in fields[1:]]
    if len(values) == 4:
        x, y, width, height = values
        edges = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    elif len(values) >= 6 and len(values) % 2 == 0:
        edges = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    else:
        raise LabelError(f"{where}: {len(fields)} values, wanted are class, xcenter, ycenter, width and height")
    return Thing(labels[int(index)], box_of(where, edges))
