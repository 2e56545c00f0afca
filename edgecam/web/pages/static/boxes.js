/** The boxes beside a clip: read from its WebVTT file, found by the picture's time, drawn over it. */
import { ask, colourOf } from "./base.js";

const TIMES = /^(\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d+):(\d\d):(\d\d)\.(\d{3})/;
/** Seconds by which a picture's time may differ from its cue's. */
const NEAR = 0.002;

/** The cues of a clip: [{start, end, tracks}], by time. */
export async function readBoxes(address, signal) {
  const cues = [];
  let span = null;
  for (const line of (await ask(address, { signal })).split("\n")) {
    const times = TIMES.exec(line);
    if (times) span = times.slice(1).map(Number);
    else if (span && line.startsWith("{")) {
      try {
        const { t, tracks } = JSON.parse(line);
        cues.push({ start: t, end: Math.max(span[4] * 3600 + span[5] * 60 + span[6] + span[7] / 1000, t + NEAR), tracks });
      } catch { /* torn: the clip is still being written */ }
      span = null;
    }
  }
  return cues;
}

/** The tracks of the picture at a time, in seconds since the clip's start. */
export function tracksAt(cues, time) {
  let low = 0;
  let high = cues.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cues[middle].start <= time + NEAR) low = middle + 1;
    else high = middle;
  }
  const cue = cues[low - 1];
  return cue && time < cue.end ? cue.tracks : [];
}

/** Draws the boxes over a video, each on the picture it belongs to. */
export class BoxesOverlay {
  constructor(video, canvas) {
    this.video = video;
    this.canvas = canvas;
    this.cues = [];
    this.chosen = null;
    this.on = true;
    new ResizeObserver(() => this.draw()).observe(canvas);
    if (video.requestVideoFrameCallback) this.#onEachFrame();
    else for (const kind of ["timeupdate", "seeked", "loadeddata"]) video.addEventListener(kind, () => this.draw());
  }

  #onEachFrame() {
    this.video.requestVideoFrameCallback((_now, { mediaTime }) => {
      this.draw(mediaTime);
      this.#onEachFrame();
    });
  }

  /** Have these boxes; those of the track `chosen` stand out. */
  use(cues, chosen) {
    this.cues = cues;
    this.chosen = chosen;
    this.draw();
  }

  draw(time = this.video.currentTime) {
    const { canvas, video } = this;
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const tracks = this.on ? tracksAt(this.cues, time) : [];
    canvas.dataset.boxes = tracks.length;
    if (!tracks.length || !video.videoWidth) return;
    const scale = Math.min(width / video.videoWidth, height / video.videoHeight);
    const area = { width: video.videoWidth * scale, height: video.videoHeight * scale };
    pen.translate((width - area.width) / 2, (height - area.height) / 2);
    for (const track of tracks) drawTrack(pen, track, area, ratio, track.track_id === this.chosen);
    pen.resetTransform();
  }
}

function drawTrack(pen, { label, score, bbox, predicted }, area, ratio, chosen) {
  const [left, top] = [bbox[0] * area.width, bbox[1] * area.height];
  const [wide, high] = [(bbox[2] - bbox[0]) * area.width, (bbox[3] - bbox[1]) * area.height];
  const colour = colourOf(label);
  pen.setLineDash(predicted ? [6 * ratio, 4 * ratio] : []);
  for (const [style, line] of [["rgb(12 16 22 / 60%)", 4], [colour, 2]]) {
    pen.strokeStyle = style;
    pen.lineWidth = (chosen ? line + 1 : line) * ratio;
    pen.strokeRect(left, top, wide, high);
  }
  const words = `${label} ${Math.round(score * 100)} %`;
  pen.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  const [plate, tall] = [pen.measureText(words).width + 10 * ratio, 20 * ratio];
  const above = top >= tall ? top - tall : top;
  pen.fillStyle = colour;
  pen.fillRect(left, above, plate, tall);
  pen.fillStyle = "#0c1016";
  pen.textBaseline = "middle";
  pen.fillText(words, left + 5 * ratio, above + tall / 2);
}
