"""tools/bench-trackers: edgecam's tracker beside norfair and ByteTrack, on the same detections."""
