"""One camera's pictures as packets: encoded once, the newest seconds of them kept."""

from __future__ import annotations

from edgecam.errors import InputError, SinkError
from edgecam.live_feed import LiveFeed
from edgecam.preroll import Packet, PacketRing
from edgecam.recording.encoder import Encoder, EncoderOptions
from edgecam.recording.h264 import StreamInfo
from edgecam.types import AnnotatedFrame, Track

LONGEST_GAP = 3.0
"""Seconds between two frames from which on the second begins another stream, and another clip: the camera was away."""
LATE = 3.0
"""Seconds after an event's start by which it has been announced, as a rule: so much more than the pre-roll is kept."""
USUAL_BITRATE = 8_000_000
"""Bits a second that the room is made for where the encoder has no bound of its own."""
SLACK = 1.15
"""What keyframes and the encoder's own bound, which is over a second, may add."""


class ClipStream:
    """The encoder and what came out of it. `pre_roll`: the seconds to be kept, but never more than `max_bytes`. All
    that comes out goes to `live` as well.

    The encoder is opened with the first frame, in its size, and again after `close`. Another size, or a gap of more
    than LONGEST_GAP seconds, needs another stream: `breaks` says so, `end` ends this one.
    """

    def __init__(
        self, options: EncoderOptions, pre_roll: float, *, overlay: bool, live: LiveFeed | None = None
    ) -> None:
        bitrate = options.max_bitrate or max(options.bitrate, USUAL_BITRATE)
        self.max_bytes = round(SLACK * bitrate / 8 * max(pre_roll, options.keyframe_interval))
        self.ring = PacketRing(pre_roll + LATE if pre_roll else 0.0, self.max_bytes)
        self._options = options
        self._overlay = overlay
        self._live = live
        self._shown: StreamInfo | None = None
        self._tracks: dict[float, tuple[Track, ...]] = {}
        self._kept = pre_roll + LATE + 4 * options.keyframe_interval
        self._encoder: Encoder | None = None
        self._size = (0, 0)
        self._last = 0.0

    @property
    def is_open(self) -> bool:
        """Whether an encoder runs."""
        return self._encoder is not None

    @property
    def info(self) -> StreamInfo:
        """What a file's header needs. Raises SinkError while no encoder runs."""
        if self._encoder is None:
            raise SinkError("no encoder runs")
        return self._encoder.stream

    def breaks(self, annotated: AnnotatedFrame) -> bool:
        """Whether a frame cannot go on in this stream."""
        frame = annotated.frame
        resized = (frame.width, frame.height) != self._size
        return self.is_open and (resized or abs(frame.timestamp - self._last) > LONGEST_GAP)

    def encode(self, annotated: AnnotatedFrame) -> list[Packet]:
        """The packets that come out now; they are in the ring, too. Raises SinkError, and no encoder runs any more."""
        frame = annotated.frame
        try:
            if self._encoder is None:
                self._size = (frame.width, frame.height)
                self._encoder = Encoder(self._size, self._options)
                self._encoder.open()
            packets = self._encoder.encode(annotated.image if self._overlay else frame.main, frame.timestamp)
        except InputError as error:  # a camera's picture is nobody's mistake: all else goes on
            self.close()
            raise SinkError(str(error)) from error
        except SinkError:
            self.close()
            raise
        self._last = frame.timestamp
        if not self._overlay:
            self._remember(frame.timestamp, annotated.tracks)
        self._keep(packets)
        return packets

    def end(self) -> list[Packet]:
        """The packets still under way. Raises SinkError. The stream is to be closed next."""
        packets = [] if self._encoder is None else self._encoder.flush()
        self._keep(packets)
        return packets

    def close(self) -> None:
        """Let the encoder go, and all packets. Safe to call twice."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()
        shown, self._shown = self._shown, None
        if self._live is not None and shown is not None:
            self._live.end(shown)
        self.ring.clear()
        self._tracks.clear()

    def tracks_at(self, timestamp: float) -> tuple[Track, ...]:
        """The tracks of a frame in the ring, where its picture does not show them."""
        return self._tracks.get(timestamp, ())

    def _keep(self, packets: list[Packet]) -> None:
        for packet in packets:
            self.ring.put(packet)
        if self._live is not None and packets:
            self._shown = self.info
            self._live.put(self._shown, packets)

    def _remember(self, timestamp: float, tracks: tuple[Track, ...]) -> None:
        self._tracks[timestamp] = tracks
        while (oldest := next(iter(self._tracks))) < timestamp - self._kept:
            del self._tracks[oldest]
