"""From the forms in which detectors are published to .tflite files; run it as tools/convert."""
