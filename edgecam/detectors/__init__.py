"""The detectors behind `ports.Detector`: model files, runtimes and decoders."""
