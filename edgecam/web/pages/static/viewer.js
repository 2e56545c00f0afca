/** The viewer: one event's clip or picture, with its boxes; keep, delete, download. */
import { ask, at, clock, date, make, notice, ofEvent, size, span, swatch } from "./base.js";
import { BoxesOverlay, readBoxes } from "./boxes.js";

/** Seconds of a long clip that are shown before the event. */
const BEFORE = 3;
const SURE = 4000;
const NO_CLIP = "No clip was recorded of it.";

export class Viewer {
  /** `step(1 | -1)` goes to the next older or newer event; `closed`, `changed(event)` and `deleted(id)` are told. */
  constructor({ step, closed, changed, deleted }) {
    this.dialog = at("viewer");
    this.video = at("clip");
    this.overlay = new BoxesOverlay(this.video, at("clip-boxes"));
    this.changed = changed;
    this.deleted = deleted;
    this.event = null;
    this.dialog.addEventListener("close", () => {
      this.#unload();
      this.event = null;
      closed();
    });
    this.dialog.addEventListener("click", (pointed) => pointed.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (pressed) => this.#key(pressed, step));
    at("close").addEventListener("click", () => this.dialog.close());
    at("newer").addEventListener("click", () => step(-1));
    at("older").addEventListener("click", () => step(1));
    at("keep").addEventListener("click", () => this.#keep());
    at("delete").addEventListener("click", () => this.#delete());
    at("fullscreen").addEventListener("click", () => this.#full());
    at("clip-number").addEventListener("change", () => this.#load(Number(at("clip-number").value)));
    at("clip-boxes-on").addEventListener("change", () => {
      this.overlay.on = at("clip-boxes-on").checked;
      this.overlay.draw();
    });
    this.video.addEventListener("error", () => this.video.src && this.#say("The clip cannot be played here."));
  }

  /** Show an event. `neighbours`: whether there is a newer and an older one. */
  async show(event, neighbours) {
    this.event = event;
    at("newer").disabled = !neighbours.newer;
    at("older").disabled = !neighbours.older;
    this.#describe();
    this.#still();
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const details = await ask(ofEvent(event.id));
      if (this.event?.id !== event.id) return;
      this.event = details;
      this.#describe();
      this.#offerClips(details.clips);
    } catch (error) {
      this.#say(error.message);
    }
  }

  /** News of an event: shown, if it is this one; a clip that is whole now is loaded. */
  update(event) {
    if (this.event?.id !== event.id) return;
    const isNews = event.has_clip !== this.event.has_clip || event.clip_grows !== this.event.clip_grows;
    this.event = { ...this.event, ...event };
    this.#describe();
    if (isNews) ask(ofEvent(event.id)).then((details) => this.event?.id === event.id && this.#offerClips(details.clips)).catch(() => {});
  }

  #describe() {
    const { event } = this;
    at("viewer-title").replaceChildren(swatch(event.label), ` ${event.label} · ${clock(event.start_time)}`);
    const over = event.end_time !== null;
    const facts = {
      Camera: event.camera,
      Day: date(event.start_time),
      Length: over ? span(event.end_time - event.start_time) : "still there",
      "Best score": `${Math.round(event.top_score * 100)} %`,
      Zones: event.zones.join(", "),
      Lines: event.crossings.map(({ line, direction }) => `${line}: ${direction}`).join(", "),
      "Ended by": event.cut,
      Clock: event.clock_synced ? "" : "not known to be right",
    };
    const shown = Object.entries(facts).filter(([, value]) => value);
    at("viewer-facts").replaceChildren(...shown.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    at("keep").setAttribute("aria-pressed", event.retain_indefinitely);
    at("keep").disabled = !event.has_clip;
    at("delete").disabled = !over;
    at("delete").classList.remove("sure");
    at("delete").querySelector("span").textContent = "Delete";
    at("download-picture").hidden = !event.has_snapshot;
    at("download-picture").href = ofEvent(event.id, "snapshot.jpg");
    at("download-picture").download = `${event.camera}-${event.id}.jpg`;
    at("download").hidden = !event.has_clip;
  }

  #still() {
    this.#unload();
    const { event } = this;
    const [width, height] = event.frame_size;
    if (width && height) at("clip-stage").style.aspectRatio = `${width} / ${height}`;
    this.video.hidden = true;
    at("clip-choice").hidden = at("clip-boxes-switch").hidden = true;
    at("clip-still").hidden = !event.has_snapshot;
    if (event.has_snapshot) at("clip-still").src = ofEvent(event.id, "snapshot.jpg");
    at("clip-still").alt = `${event.label} at ${event.camera}`;
    this.#say(event.has_clip ? "Loading …" : NO_CLIP);
  }

  #offerClips(clips) {
    this.clips = clips;
    if (!clips.length) {
      this.#say(NO_CLIP);
      return;
    }
    const name = (clip) => `${clip.kind === "event" ? "Clip" : "Recording"} of ${clock(clip.start_time)}`;
    at("clip-number").replaceChildren(...clips.map((clip) => make("option", { value: clip.n }, name(clip))));
    at("clip-choice").hidden = clips.length < 2;
    this.#load(clips[0].n);
  }

  async #load(number) {
    this.#unload();
    const { event, video } = this;
    const clip = this.clips.find((each) => each.n === number);
    const query = number ? `?n=${number}` : "";
    const into = event.start_time - clip.start_time;
    video.hidden = false;
    at("clip-still").hidden = true;
    video.src = ofEvent(event.id, `clip.mp4${query}`);
    video.addEventListener("loadedmetadata", () => {
      if (into > 15) video.currentTime = into - BEFORE;
      video.play().catch(() => {});
    }, { once: true, signal: this.loading.signal });
    at("download").href = video.src;
    at("download").download = `${event.camera}-${event.id}.mp4`;
    at("clip-boxes-switch").hidden = !clip.has_boxes;
    const length = clip.end_time === null ? "" : span(clip.end_time - clip.start_time);
    this.#say(clip.end_time === null ? "Still being recorded: this is what there is so far." : `${length}, ${size(clip.bytes)}`);
    if (!clip.has_boxes) return;
    const { signal } = this.loading;
    const cues = await readBoxes(ofEvent(event.id, `clip.vtt${query}`), signal).catch(() => []);
    if (!signal.aborted) this.overlay.use(cues, event.track_id);
  }

  #unload() {
    this.loading?.abort();
    this.loading = new AbortController();
    this.overlay.use([], null);
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  async #keep() {
    const { event } = this;
    const keep = !event.retain_indefinitely;
    try {
      await ask(ofEvent(event.id, "retain"), { method: keep ? "POST" : "DELETE" });
      event.retain_indefinitely = keep;
      at("keep").setAttribute("aria-pressed", keep);
      this.changed(event);
      notice(keep ? "Kept: it stays until you delete it." : "Not kept any more: it goes when its time is over.");
    } catch (error) {
      notice(error.message);
    }
  }

  async #delete() {
    const button = at("delete");
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.querySelector("span").textContent = "Delete for ever?";
      setTimeout(() => this.event && button.classList.contains("sure") && this.#describe(), SURE);
      return;
    }
    const { id } = this.event;
    try {
      this.#unload();
      await ask(ofEvent(id), { method: "DELETE" });
      this.deleted(id);
      notice("Deleted.");
    } catch (error) {
      notice(error.message);
    }
  }

  #full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (at("clip-stage").requestFullscreen) at("clip-stage").requestFullscreen().catch(() => {});
    else this.video.webkitEnterFullscreen?.();
  }

  #key(pressed, step) {
    if (pressed.target.closest("select, input") || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
    const isVideo = pressed.target === this.video;
    const done = {
      ArrowLeft: () => !isVideo && !at("newer").disabled && step(-1),
      ArrowRight: () => !isVideo && !at("older").disabled && step(1),
      f: () => this.#full(),
    }[pressed.key];
    if (done?.() !== false && done) pressed.preventDefault();
  }

  #say(words) {
    at("clip-words").textContent = words;
  }
}
