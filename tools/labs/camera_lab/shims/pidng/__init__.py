"""Stands in for PiDNG, which picamera2 imports to write raw pictures; edgecam never does that."""
