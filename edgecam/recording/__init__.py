"""From pictures to clips: encoded once, kept as packets, written so that a power cut costs half a second."""
