"""The paths of a camera's marks: its zones, lines and masks; looked at, checked, and put into the configuration."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from pydantic import Field, model_validator

from edgecam.config import load, to_toml
from edgecam.config.editing import replace_file
from edgecam.config.zones import MarkedSection
from edgecam.errors import ConfigError
from edgecam.health.status import Document
from edgecam.web.api.answers import refusal, refusals
from edgecam.web.api.marks_file import KEYS, as_toml, faults, with_marks
from edgecam.web.api.switches import CameraName, access_to
from edgecam.web.premises import Premises

LONGEST = 100
"""Points of a polygon, or zones, in one request: more take long to check; a file may have more."""
MOST_LISTS = 1500
_UNNAMED = Path("edgecam.toml")


class Marks(MarkedSection):
    """Zones, lines and masks, with the configuration's own keys. Points are [right, down], 0 to 1."""

    @model_validator(mode="before")
    @classmethod
    def _is_small(cls, sent: Any) -> Any:
        lists, left = 0, [sent]
        while left:
            each = left.pop()
            if isinstance(each, list | dict):
                lists += 1
                if len(each) > LONGEST or lists > MOST_LISTS:
                    raise ValueError(f"allowed are {LONGEST} points, zones or lines: write more into the file")
                left.extend(each.values() if isinstance(each, dict) else each)
        return sent


class Checked(Document):
    """The marks are allowed."""

    toml: str = Field(description="What to write into the configuration.")


class Saved(Checked):
    """The marks are in the configuration."""

    needs_restart: list[str] = Field(description="The keys that are in force only when edgecam starts again.")


class MarkRoutes:
    """The paths /api/CAMERA/marks. One at a time writes the file."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._lock = Lock()

    def add_to(self, router: APIRouter) -> None:
        """Add the paths."""
        router.get("/api/{camera}/marks", responses=refusals(404))(self.show)
        router.post("/api/{camera}/marks/check", response_model=Checked, responses=refusals(400, 404, 409))(self.check)
        router.put("/api/{camera}/marks", response_model=Saved, responses=refusals(400, 404, 409))(self.save)

    def show(self, camera: CameraName) -> Marks:
        """The marks as they stand in the configuration; as of the start where that has faults."""
        found: MarkedSection = access_to(self._premises.cameras, camera).marks
        if self._premises.config_path is not None:
            with suppress(ConfigError):
                found = load(self._premises.config_path).cameras.get(camera, found)
        return Marks.model_construct(**{key: getattr(found, key) for key in KEYS})

    def check(self, camera: CameraName, marks: Marks) -> Checked | Response:
        """Whether marks are allowed, and what to write into the configuration. Nothing is changed."""
        access_to(self._premises.cameras, camera)
        _, complaints = self._changed(camera, marks)
        return _refused(complaints) if complaints else Checked(toml=as_toml(camera, marks))

    def save(self, camera: CameraName, marks: Marks) -> Saved | Response:
        """Put marks into the configuration file, in place of those that the camera has there, and use them."""
        access_to(self._premises.cameras, camera)
        path = self._premises.config_path
        if path is None:
            raise HTTPException(409, "edgecam runs without a configuration file: there is nowhere to keep them")
        with self._lock:
            text, complaints = self._changed(camera, marks)
            if complaints:
                return _refused(complaints)
            try:
                replace_file(path, text)
            except OSError as error:
                said = f"{path}: cannot be written: {error.strerror or error}: paste the text there, and reload edgecam"
                raise HTTPException(409, said) from error
            later = self._premises.reload() if self._premises.reload else []
        return Saved(toml=as_toml(camera, marks), needs_restart=later)

    def _changed(self, camera: str, marks: Marks) -> tuple[str, list[str]]:
        """The configuration's text with these marks, and what is wrong with it because of them. Raises ConfigError for
        a file that cannot be used."""
        path = self._premises.config_path
        text = _read(path) if path else to_toml(self._premises.config.model_dump(mode="json"))
        if before := faults(path or _UNNAMED, text):
            raise ConfigError("\n".join(f"the configuration has faults: {each}" for each in before))
        changed = with_marks(text, camera, marks)
        return changed, [each.removeprefix(f"cameras.{camera}.") for each in faults(path or _UNNAMED, changed)]


def _read(path: Path) -> str:
    """The file's text, which is TOML. Raises ConfigError."""
    load(path)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: it was changed a moment ago") from error


def _refused(complaints: list[str]) -> Response:
    return refusal(422, "; ".join(complaints[:3]), complaints)
