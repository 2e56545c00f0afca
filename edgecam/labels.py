"""Labels: what a model's class numbers mean, from every format label files come in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import ModelError

_PLACEHOLDERS = frozenset({"", "???", "n/a"})
_BACKGROUND = frozenset({"background", "__background__"})
_NUMBERED = re.compile(r"(\d+)\s*[:,;\s]\s*(\S.*)")
_LIMIT_BYTES = 1 << 20
_HIGHEST_ID = 99_999

_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | [,;]
      | (?P<open>[{<]) | (?P<close>[}>]) | (?P<colon>:)
      | (?P<string>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*')
      | (?P<word>[^\s{}<>:,;"'#]+)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of classes: `names[n]` is that of class n, "" where the class has none; `source` says where they come from.

    Class 0 is the model's first class, never the background.
    """

    names: tuple[str, ...]
    source: str

    def name(self, class_id: int) -> str:
        """The label of a class; one without a name is called by its number."""
        return self.names[class_id] if self.has_name(class_id) else f"class {class_id}"

    def has_name(self, class_id: int) -> bool:
        """True where the class has a name."""
        return 0 <= class_id < len(self.names) and self.names[class_id] != ""

    def known(self) -> frozenset[str]:
        """All names."""
        return frozenset(self.names) - {""}

    def fitted(self, classes: int | None) -> Labels:
        """These labels for a model with so many classes (None: not known).

        Files that count from 1, or name the background first, are moved down by one: their class 0 has no name and,
        where the number of classes is known, they have one entry more than that.
        Raises ModelError where there are fewer labels than classes.
        """
        counts_from_one = self.names[:1] == ("",) and (classes is None or len(self.names) == classes + 1)
        names = self.names[1:] if counts_from_one else self.names
        if classes is not None and len(names) < classes:
            raise ModelError(
                f"{self.source}: {len(names)} labels, the model has {classes} classes:"
                " give the label file made for this model, gaps included"
            )
        return Labels(names, self.source)


#: COCO's 80 names in their 90 places, as the models of TensorFlow's zoo number them ("-": no such class).
_COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, -, stop "
    "sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, -, backpack, "
    "umbrella, -, -, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball "
    "glove, skateboard, surfboard, tennis racket, bottle, -, wine glass, cup, fork, knife, spoon, bowl, banana, "
    "apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, -, "
    "dining table, -, -, toilet, -, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, "
    "sink, refrigerator, -, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
COCO = Labels(tuple(name.removeprefix("-") for name in _COCO.split(", ")), "COCO's 90 classes")
#: The same 80 without the gaps, as most other models number them.
COCO_80 = Labels(tuple(name for name in COCO.names if name), "COCO's 80 classes")


def load_labels(path: Path) -> Labels:
    """Read a label file: one name a line, `id name` a line, or a `.pbtxt` label map. Raises ModelError."""
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise ModelError(f"{path}: too large for a label file: give a text file with one name a line")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such label file: check the name") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path}: a folder, not a label file: name a text file in it") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): check the file's permissions") from error
    return parse_labels(content, str(path))


def parse_labels(content: bytes, source: str) -> Labels:
    """Labels from the content of a label file; the format is told by the content. Raises ModelError.

    In a list a name's line is its class number, from 0. In a list with numbers (`0 person`, `0: person`) the number is.
    In a label map ids count from 1 (TensorFlow keeps 0 for the background), so class 0 is the item with id 1.
    Entries `???`, `n/a` and empty ones, and a background in the first place, are gaps.
    """
    text = _decode(content, source)
    if re.search(r"\bitem\s*[{<]", text):
        return _labels(((number - 1, name) for number, name in _label_map(text, source)), source)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    numbered = [_NUMBERED.fullmatch(line) for line in lines if line]
    if numbered and all(numbered):
        return _labels(((int(match[1]), match[2]) for match in numbered if match), source)
    return _labels(enumerate(lines), source)


def _decode(content: bytes, source: str) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ModelError(f"{source}: not a text file: give a label file in UTF-8") from error
    if any(ord(char) < 32 and char not in "\t\n\r" for char in text):
        raise ModelError(f"{source}: not a text file: give a label file in UTF-8")
    return text


def _labels(entries: Iterable[tuple[int, str]], source: str) -> Labels:
    """Put names in their places. Raises ModelError where a number is used twice or nothing is named."""
    names: dict[int, str] = {}
    for number, entry in entries:
        if number > _HIGHEST_ID:
            raise ModelError(f"{source}: class number {number}: {_HIGHEST_ID} at most")
        gap = entry.lower() in _PLACEHOLDERS or (number == 0 and entry.lower() in _BACKGROUND)
        name = "" if gap else entry
        if number >= 0 and names.setdefault(number, name) != name:
            raise ModelError(f"{source}: class {number} is both {names[number]!r} and {name!r}: remove one")
    if not any(names.values()):
        raise ModelError(f"{source}: no labels in it: give a text file with one name a line")
    return Labels(tuple(names.get(number, "") for number in range(max(names) + 1)), source)


def _label_map(text: str, source: str) -> Iterator[tuple[int, str]]:
    """Id and name of each item of a label map in protobuf's text format; `display_name` goes before `name`."""
    for item in _items(text, source):
        name = item.get("display_name", item.get("name", ""))
        number = item.get("id", "")
        if not number.isdecimal():
            raise ModelError(f"{source}: the item {name!r} has no usable id ({number or 'none'}): give it one from 1")
        if number == "0" and name.lower() not in _BACKGROUND | _PLACEHOLDERS:
            raise ModelError(f"{source}: the item {name!r} has id 0, which is the background's: count from 1")
        yield int(number), name


def _items(text: str, source: str) -> Iterator[dict[str, str]]:
    """The fields of each `item { … }`; messages nested in it are skipped."""
    depth, field, item = 0, "", dict[str, str]()
    for kind, token in _tokens(text, source):
        if kind == "open":
            depth += 1
            item = {} if depth == 1 else item
        elif kind == "close":
            depth -= 1
            if depth == 0:
                yield item
        elif kind == "colon":
            continue
        elif field and depth == 1:
            item[field] = token
            field = ""
            continue
        field = token if kind == "word" and depth == 1 else ""
    if depth != 0:
        raise ModelError(f"{source}: the label map is cut short or its braces do not match: get a whole one")


def _tokens(text: str, source: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            raise ModelError(f"{source}: line {line} is no label map: write item {{ id: 1 name: 'person' }}")
        at = match.end()
        if match.lastgroup is not None:
            token = match[match.lastgroup]
            yield match.lastgroup, re.sub(r"\\(.)", r"\1", token[1:-1]) if match.lastgroup == "string" else token
