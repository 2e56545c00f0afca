"""What an operator can set: the schema of the configuration, its loading, and its checks."""

from edgecam.config.cameras import CameraConfig, SyntheticConfig, VideoFileConfig
from edgecam.config.loading import load
from edgecam.config.schema import Config
from edgecam.config.toml_text import to_toml

__all__ = ["CameraConfig", "Config", "SyntheticConfig", "VideoFileConfig", "load", "to_toml"]
