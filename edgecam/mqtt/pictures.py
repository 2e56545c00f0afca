"""What is said of snapshots where it is not the picture itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SnapshotReference(BaseModel):
    """Where the picture of an event lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="The event's id.")
    camera: str = Field(description="The camera's name.")
    label: str = Field(description="What the event is of.")
    path: str = Field(description="The JPEG file, on edgecam's machine.")
    time: float = Field(description="When the picture was taken, Unix seconds.")
    frame: int = Field(description="The sequence of its frame.")


class SnapshotState(BaseModel):
    """What became of the last picture that was asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: float | None = Field(description="When the picture was taken, Unix seconds; null where none was.")
    path: str | None = Field(description="The JPEG file, on edgecam's machine; null where there is none.")
    frame: int | None = Field(description="The sequence of its frame; null where there is none.")
    error: str = Field(description="Why there is no picture; empty where there is one.")
