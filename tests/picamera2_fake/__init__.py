"""picamera2 and libcamera in software, as far as edgecam uses them; strict where the real ones leak or go wrong.

A request is released exactly once for each time it is held, its buffers are overwritten when it goes back, an error
leaves behind what the real library leaves behind, and a camera in use may not be opened a second time.
"""

from picamera2_fake.board import Board, Sensor

__all__ = ["Board", "Sensor"]
