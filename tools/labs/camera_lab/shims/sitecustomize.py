"""Every Python of the lab sees the virtual cameras."""

import virtual_camera  # noqa: F401
