"""Pascal VOC's layout: an XML file for each picture, beside it or in Annotations, with the pictures in JPEGImages."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from training.labelled import LabelError, Labelled, LabelledPicture, Thing, box_of, gathered, number, read_text

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_FOLDERS = ("", "../JPEGImages", "../images", "../Images")


def files(folder: Path) -> list[Path]:
    """The XML files of a folder in this layout, sorted."""
    inner = folder / "Annotations"
    return sorted((inner if inner.is_dir() else folder).rglob("*.xml"))


def read(folder: Path, pictures: Path | None = None) -> Labelled:
    """The pictures that the XML files name; labels in alphabetical order. Broken files are complaints.

    ImageSets/Main/val.txt, where it is, names the pictures that are kept for validation.
    """
    found, complaints = gathered(partial(_picture, path, pictures) for path in files(folder))
    labels = tuple(sorted({thing.label for picture in found for thing in picture.things}))
    names = folder / "ImageSets" / "Main" / "val.txt"
    kept = set(read_text(names).split()) if names.is_file() else set()
    return Labelled(
        "Pascal VOC",
        labels,
        found,
        complaints,
        frozenset(picture.path for picture in found if picture.path.stem in kept),
    )


def _picture(path: Path, pictures: Path | None) -> LabelledPicture:
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise LabelError(f"{path}: no labels have a DOCTYPE: export them anew")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 -- entities are refused above
    except ElementTree.ParseError as error:
        raise LabelError(f"{path}: not XML ({error}): export it anew") from error
    if root.tag != "annotation":
        raise LabelError(f"{path}: <{root.tag}> where Pascal VOC has <annotation>: take it out of the folder")
    size = tuple(number(f"{path}: size", root.findtext(f"size/{side}", "0")) for side in ("width", "height"))
    if min(size) <= 0:
        raise LabelError(f"{path}: the picture's width and height are not stated: export it anew")
    things = tuple(
        _thing(f"{path}: object {count}", element, size) for count, element in enumerate(root.findall("object"), 1)
    )
    return LabelledPicture(_picture_file(path, root, pictures), things, (int(size[0]), int(size[1])))


def _picture_file(path: Path, root: ElementTree.Element, pictures: Path | None) -> Path:
    name = Path(root.findtext("filename", "").strip().replace("\\", "/")).name
    folders = [pictures] if pictures else [path.parent / folder for folder in _FOLDERS]
    candidates = [folder / name for folder in folders if name]
    candidates += [folder / f"{path.stem}{ending}" for folder in folders for ending in (".jpg", ".jpeg", ".png")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise LabelError(f"{path}: its picture {name or path.stem} is not there: put it beside it or give --pictures")


def _thing(where: str, element: ElementTree.Element, size: tuple[float, ...]) -> Thing:
    label = " ".join(element.findtext("name", "").split())
    if not label:
        raise LabelError(f"{where}: it has no name: give it one")
    edges = [number(f"{where}: {edge}", element.findtext(f"bndbox/{edge}")) for edge in _EDGES]
    # The first pixel is 1, and the last one belongs to the object.
    low_x, low_y, high_x, high_y = edges[0] - 1, edges[1] - 1, edges[2], edges[3]
    box = box_of(where, (low_x / size[0], low_y / size[1], high_x / size[0], high_y / size[1]))
    return Thing(label, box, element.findtext("difficult", "0").strip() == "1")
