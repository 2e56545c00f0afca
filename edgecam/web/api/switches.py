"""The paths of the cameras and their switches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path
from pydantic import Field

from edgecam.health.status import Document, SwitchStates
from edgecam.web.api.answers import refusals
from edgecam.web.premises import CameraAccess

CameraName = Annotated[str, Path(description="The camera's name.", max_length=200)]
SwitchName = Annotated[Literal["detect", "recordings", "snapshots"], Path(description="The switch.")]


class CameraAnswer(Document):
    """One camera."""

    name: str = Field(description="Its name.")
    width: int | None = Field(description="Width of its picture in pixels; null before there was one.")
    height: int | None = Field(description="Height of its picture in pixels; null before there was one.")
    labels: list[str] = Field(description="What its detector knows.")
    zones: list[str] = Field(description="Its zones, as of the start.")
    lines: list[str] = Field(description="Its lines, as of the start.")
    switches: SwitchStates


class SwitchAnswer(Document):
    """How a switch stands."""

    name: str = Field(description="Its name.")
    on: bool = Field(description="Whether it is on.")


class SwitchChange(Document):
    """How a switch is to stand."""

    on: bool = Field(description="Whether it is to be on.", strict=True)


class CameraRoutes:
    """The paths /api/cameras and /api/CAMERA/switches."""

    def __init__(self, cameras: Mapping[str, CameraAccess]) -> None:
        self._cameras = cameras

    def add_to(self, router: APIRouter) -> None:
        """Add the paths."""
        switch = "/api/{camera}/switches/{name}"
        router.get("/api/cameras", responses=refusals())(self.cameras)
        router.get(switch, responses=refusals(404))(self.switch)
        router.put(switch, responses=refusals(400, 404, 409))(self.turn)

    def cameras(self) -> list[CameraAnswer]:
        """The cameras that run, as the configuration has them."""
        return [_answer(access) for access in self._cameras.values()]

    def switch(self, camera: CameraName, name: SwitchName) -> SwitchAnswer:
        """How a switch stands."""
        return SwitchAnswer(name=name, on=access_to(self._cameras, camera).switches[name])

    def turn(self, camera: CameraName, name: SwitchName, change: SwitchChange) -> SwitchAnswer:
        """Switch on or off."""
        switches = access_to(self._cameras, camera).switches
        switches.set(name, change.on)
        if change.on and not switches[name]:
            raise HTTPException(409, f"{name}: there is nothing to switch on: the configuration has it off")
        return SwitchAnswer(name=name, on=switches[name])


def access_to(cameras: Mapping[str, CameraAccess], name: str) -> CameraAccess:
    """The camera of this name. Raises HTTPException."""
    if name not in cameras:
        raise HTTPException(404, f"camera {name}: there is none; there are {', '.join(cameras) or 'no cameras'}")
    return cameras[name]


def _answer(access: CameraAccess) -> CameraAnswer:
    newest = access.newest.get()
    return CameraAnswer(
        name=access.name,
        width=newest.frame.width if newest else None,
        height=newest.frame.height if newest else None,
        labels=list(access.labels),
        zones=list(access.marks.zones),
        lines=list(access.marks.lines),
        switches=SwitchStates(**access.switches.states()),
    )
