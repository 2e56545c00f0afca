"""Every error edgecam raises on purpose. The message is one line: the thing, the value, the remedy."""


class EdgecamError(Exception):
    """Base class of edgecam's errors; the command line prints the message and exits 1."""


class ConfigError(EdgecamError, ValueError):
    """The configuration cannot be used; holds all complaints, one a line. Exit code 78 (EX_CONFIG)."""


class InputError(EdgecamError, ValueError):
    """Something the user named cannot be used, and trying again will not help: a missing video, a broken picture."""


class ModelError(InputError):
    """A model or label file cannot be used: missing, truncated, foreign, or of a kind edgecam does not run."""


class DeviceError(EdgecamError, OSError):
    """A device failed. Its owner retries: close, wait 1 s doubling to 30 s, open."""


class CameraError(DeviceError):
    """The camera failed or stalled."""


class DetectorError(DeviceError):
    """The inference device failed."""


class SinkError(DeviceError):
    """A sink could not take a frame or an event: disk full, encoder refused, file-system read-only."""


class EndOfStream(EdgecamError):
    """The camera has delivered its last frame: a video file that does not loop is at its end."""


class RingClosed(EdgecamError):
    """No more frames will come."""


class WorkerStuck(EdgecamError, RuntimeError):
    """A worker did not stop within its time limit."""
