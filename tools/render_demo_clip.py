#!/usr/bin/env python3
"""Render the bundled clip and its ground truth: edgecam/data/demo.mp4 and demo.json.

The seed is one that training never saw (training takes seeds below 1,000,000, validation those below 1,100,000).
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import av
from rich.progress import track

from edgecam.scenes import Scene, View

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, FPS = 1280, 720, 25


def truth_of(view: View) -> list[dict[str, object]]:
    """One frame's objects as JSON."""
    return [
        {
            "label": thing.label,
            "bbox": [round(edge, 5) for edge in thing.bbox],
            "id": thing.object_id,
            "difficult": thing.difficult,
        }
        for thing in view.objects
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=float, default=0.0, help="scene time of the first frame, seconds")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--light", choices=["day", "dusk", "rain"], default="day")
    parser.add_argument("--place", choices=["street", "garden"])
    parser.add_argument("--crf", type=int, default=25)
    parser.add_argument("--out", type=Path, default=ROOT / "edgecam" / "data")
    arguments = parser.parse_args()

    scene = Scene(arguments.seed, width=WIDTH, height=HEIGHT, light=arguments.light, place=arguments.place)
    frames = []
    with av.open(str(arguments.out / "demo.mp4"), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": str(arguments.crf), "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for number in track(range(round(arguments.seconds * FPS)), "rendering"):
            view = scene.render(arguments.start + number / FPS)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view.image, format="rgb24")))
            frames.append(truth_of(view))
        container.mux(stream.encode(None))
    about = {"seed": arguments.seed, "start": arguments.start, "light": arguments.light, "place": arguments.place}
    text = json.dumps({"scene": about, "fps": FPS, "frames": frames}, separators=(",", ":"))
    (arguments.out / "demo.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
