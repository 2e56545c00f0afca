"""What an operator can set: the schema of the configuration, its loading, and its checks."""

from edgecam.config.cameras import CameraConfig, Picamera2Config, SyntheticConfig, V4l2Config, VideoFileConfig
from edgecam.config.loading import load
from edgecam.config.schema import Config
from edgecam.config.toml_text import to_toml

__all__ = [
    "CameraConfig",
    "Config",
    "Picamera2Config",
    "SyntheticConfig",
    "V4l2Config",
    "VideoFileConfig",
    "load",
    "to_toml",
]
