"""Which layout labelled pictures are in, and reading them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from edgecam.errors import InputError
from training import coco, voc, yolo
from training.labelled import Labelled


class Layout(StrEnum):
    """The layouts that labelling tools export."""

    auto = "auto"
    coco = "coco"
    voc = "voc"
    yolo = "yolo"


def read(source: Path, layout: Layout = Layout.auto, pictures: Path | None = None) -> Labelled:
    """The labelled pictures of a folder or of a file of COCO annotations, in the order of their names.

    Raises InputError where there are none, or where the layout cannot be told.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder: give a folder of labelled pictures, or COCO annotations")
    if pictures is not None and not pictures.is_dir():
        raise InputError(f"{pictures}: no such folder: give the folder with the pictures")
    chosen = _told(source) if layout is Layout.auto else layout
    if chosen is Layout.coco:
        found = coco.read(source if source.is_file() else _annotations(source), pictures)
    else:
        if not source.is_dir():
            raise InputError(f"{source}: not a folder: {chosen} labels are a folder of files")
        found = (voc if chosen is Layout.voc else yolo).read(source, pictures)
    if not found.pictures and not found.complaints:
        raise InputError(f"{source}: no labelled pictures in it: {_SHAPES}")
    ordered = tuple(sorted(found.pictures, key=lambda picture: picture.path.name))
    return Labelled(found.layout, found.labels, ordered, found.complaints, found.validation)


_SHAPES = "COCO is a .json file, Pascal VOC an .xml file for each picture, YOLO a .txt file for each and classes.txt"


def _told(source: Path) -> Layout:
    if source.is_file() or _coco_files(source):
        return Layout.coco
    if voc.files(source):
        return Layout.voc
    if yolo.names_file(source):
        return Layout.yolo
    raise InputError(f"{source}: its layout cannot be told: {_SHAPES}")


def _coco_files(folder: Path) -> list[Path]:
    return [path for path in sorted((*folder.glob("*.json"), *folder.glob("annotations/*.json"))) if coco.is_coco(path)]


def _annotations(folder: Path) -> Path:
    files = _coco_files(folder)
    if len(files) != 1:
        named = ", ".join(path.name for path in files) or "none"
        raise InputError(
            f"{folder}: one file of COCO annotations is wanted, there are {len(files)} ({named}): give one"
        )
    return files[0]
