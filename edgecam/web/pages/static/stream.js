/** The live picture of one camera: its video over a WebSocket, or pictures one after another where that cannot be. */
import { ofCamera } from "./base.js";

const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;
/** Seconds without anything new after which the picture is said to be lost. */
const SILENCE = 8;
/** Seconds of video behind the newest that are gone back over by playing a little faster, and by jumping. */
const HURRY = 0.7;
const JUMP = 2.5;
/** Seconds of video that stay behind the picture. */
const BEHIND = 10;
/** Pieces that wait for the decoder; more: it cannot keep up. */
const WAITING = 120;

/** Video as fragmented MP4 into Media Source Extensions. `tell(state)`: live or lost; `lost` once it has ended. */
class VideoStream {
  constructor(video, camera, tell) {
    this.video = video;
    this.tell = tell;
    this.waiting = [];
    this.buffer = null;
    this.seen = false;
    const address = new URL(`live/${encodeURIComponent(camera)}`, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => (typeof data === "string" ? this.#begin(JSON.parse(data)) : this.#take(data)));
    this.socket.addEventListener("close", () => this.#fail());
  }

  stop() {
    this.tell = () => {};
    this.socket.close();
    this.#clear();
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** What follows is of this kind: make room for it. */
  #begin({ codecs, width, height }) {
    this.#clear();
    if (!codecs) return;
    const type = `video/mp4; codecs="${codecs}"`;
    if (!Source.isTypeSupported(type)) {
      this.#fail();
      return;
    }
    if (width && height) this.video.parentElement.style.aspectRatio = `${width} / ${height}`;
    const source = new Source();
    this.source = source;
    this.video.disableRemotePlayback = true;
    this.address = URL.createObjectURL(source);
    this.video.src = this.address;
    source.addEventListener("sourceopen", () => {
      if (this.source !== source) return;
      source.duration = Infinity;
      this.buffer = source.addSourceBuffer(type);
      this.buffer.addEventListener("updateend", () => this.#pump());
      this.buffer.addEventListener("error", () => this.#fail());
      this.#pump();
    }, { once: true });
  }

  #clear() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = this.source = this.buffer = null;
    this.waiting = [];
  }

  #take(data) {
    this.waiting.push(data);
    if (this.waiting.length > WAITING) this.#fail();
    else this.#pump();
  }

  #pump() {
    const { buffer, source } = this;
    if (!buffer || buffer.updating || source.readyState !== "open") return;
    this.#keepUp(buffer);
    const behind = buffer.buffered.length ? this.video.currentTime - buffer.buffered.start(0) : 0;
    try {
      if (behind > 3 * BEHIND) buffer.remove(0, this.video.currentTime - BEHIND);
      else if (this.waiting.length) buffer.appendBuffer(this.waiting.shift());
    } catch {
      this.#fail();
    }
  }

  /** Stay near the newest picture. */
  #keepUp({ buffered }) {
    if (!buffered.length) return;
    const { video } = this;
    const end = buffered.end(buffered.length - 1);
    const lag = end - video.currentTime;
    if (lag > JUMP || lag < 0 || video.currentTime < buffered.start(0)) video.currentTime = Math.max(buffered.start(buffered.length - 1), end - 0.1);
    video.playbackRate = lag > HURRY ? 1.08 : 1;
    if (video.paused) video.play().catch(() => {});
    this.seen = true;
    this.tell("live");
  }

  #fail() {
    const { tell } = this;
    this.tell = () => {};
    this.socket.close();
    tell("lost");
  }
}

/** Pictures: as one multipart stream, or each asked for when the one before is there. */
class PictureStream {
  constructor(image, camera, { boxes, multipart, height }, tell) {
    this.image = image;
    this.tell = tell;
    this.stopped = false;
    const query = `bbox=${boxes ? 1 : 0}&h=${height}`;
    this.address = multipart ? `${ofCamera(camera)}?${query}&fps=10` : `${ofCamera(camera, "latest.jpg")}?${query}`;
    this.multipart = multipart;
    this.shown = () => {
      this.tell("live");
      if (!multipart) this.timer = setTimeout(() => this.#next(), 200);
    };
    this.failed = () => this.tell("lost");
    image.addEventListener("load", this.shown);
    image.addEventListener("error", this.failed);
    this.#next();
  }

  #next() {
    if (this.stopped) return;
    this.image.src = `${this.address}&at=${Date.now()}`;
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.image.removeEventListener("load", this.shown);
    this.image.removeEventListener("error", this.failed);
    this.image.removeAttribute("src");
  }
}

/** The picture on a stage, opened again whenever it is lost. */
export class LivePicture {
  /** `crowd`: whether there are so many cameras that a browser has not a connection for each. */
  constructor(stage, camera, { crowd, tell }) {
    this.stage = stage;
    this.camera = camera;
    this.crowd = crowd;
    this.tell = tell;
    this.video = stage.querySelector("video");
    this.image = stage.querySelector("img");
    this.failures = 0;
    this.heard = 0;
    setInterval(() => this.#watch(), 1000);
  }

  /** Show it, with boxes or without. The video is taken where it is that way; the pictures can be either. */
  show(boxes) {
    this.stop();
    this.boxes = boxes;
    this.wanted = true;
    this.#open();
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.stream?.stop();
    this.stream = null;
  }

  #open() {
    const inVideo = (document.documentElement.dataset.boxes === "in") === this.boxes;
    const asVideo = inVideo && Source !== undefined && this.failures < 3;
    this.video.hidden = !asVideo;
    this.image.hidden = asVideo;
    this.heard = Date.now();
    const told = (state) => this.#told(state);
    const height = this.stage.clientHeight * devicePixelRatio > 540 ? 720 : 480;
    this.stage.dataset.way = asVideo ? "video" : "pictures";
    this.stream = asVideo
      ? new VideoStream(this.video, this.camera, told)
      : new PictureStream(this.image, this.camera, { boxes: this.boxes, multipart: !this.crowd, height }, told);
  }

  #told(state) {
    if (state === "live") {
      this.heard = Date.now();
      this.failures = 0;
      this.tell("live");
      return;
    }
    this.failures += 1;
    this.tell("lost");
    this.stream?.stop();
    this.stream = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.wanted && this.#open(), Math.min(1000 * this.failures, 10000));
  }

  /** A multipart stream tells of its first picture only, in some browsers: it is lost when its connection is. */
  #watch() {
    const steady = this.stream instanceof PictureStream && this.stream.multipart && this.image.naturalWidth > 0;
    if (this.wanted && this.stream && !steady && Date.now() - this.heard > SILENCE * 1000) this.#told("lost");
  }
}
