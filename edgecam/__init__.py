"""edgecam: a camera that sees, names and remembers what moves in front of it."""

__version__ = "0.1.0"
