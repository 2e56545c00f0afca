"""Stands in for python-prctl, which picamera2 imports to pass signals to ffmpeg; edgecam never starts that."""
