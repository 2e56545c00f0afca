"""MediaPipe Tasks' object detector in a loop with OpenCV's capture: it detects, and nothing else.

    mediapipe_loop.py MODEL LABELS CLIP PACE FOLDER

PACE as for single_loop.py; in FOLDER it puts the model with the metadata without which MediaPipe refuses it.
"""

from __future__ import annotations

import sys
import time
import types
from pathlib import Path

import cv2
import mediapipe
from counting import from_environment
from mediapipe.tasks.python import BaseOptions, vision


def main() -> None:
    """Look at the clip over and over until somebody ends it."""
    model, labels, clip, pace, folder = sys.argv[1:]
    described = with_metadata(Path(model), Path(labels), Path(folder))
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(described)),
        running_mode=vision.RunningMode.VIDEO,
        score_threshold=0.5,
        max_results=10,
    )
    counter, step, due = from_environment(), (1 / float(pace) if float(pace) else 0.0), time.monotonic()
    capture = cv2.VideoCapture(clip)
    with vision.ObjectDetector.create_from_options(options) as detector:
        while True:
            there, picture = capture.read()
            if not there:
                capture = cv2.VideoCapture(clip)
                continue
            colour = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=colour)
            counter.add(len(detector.detect_for_video(image, 33 * counter.frames).detections))
            due += step
            time.sleep(max(0.0, due - time.monotonic()))


def with_metadata(model: Path, labels: Path, folder: Path) -> Path:
    """The model with its labels and the range of its input in it, by MediaPipe's own writer."""
    try:
        import mediapipe.tasks.cc  # noqa: F401
    except ImportError:
        _stand_in_for_what_the_wheel_lacks()
    from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer, object_detector

    names = labels.read_text(encoding="utf-8").split("\n")
    writer = object_detector.MetadataWriter.create_for_models_with_nms(
        bytearray(model.read_bytes()), [127.5], [127.5], metadata_writer.Labels().add([name for name in names if name])
    )
    described = folder / "described.tflite"
    described.write_bytes(writer.populate()[0])
    return described


def _stand_in_for_what_the_wheel_lacks() -> None:
    """The writer asks C++ code for the least version of a reader; mediapipe 1.2.2 comes without that code."""
    door = types.ModuleType("mediapipe.tasks.cc.metadata.python")
    version = types.SimpleNamespace(GetMinimumMetadataParserVersion=lambda _metadata: "1.0.0")
    door.__dict__["_pywrap_metadata_version"] = version
    for name in ("mediapipe.tasks.cc", "mediapipe.tasks.cc.metadata"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules[door.__name__] = door


if __name__ == "__main__":
    main()
