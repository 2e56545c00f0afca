/** The live page: all cameras, and what was seen last. */
import { ask, at, icon, isoDay, make, notice, ofCamera, ofEvent, shortClock, span, swatch } from "./base.js";
import { follow } from "./changes.js";
import { LivePicture } from "./stream.js";

const LATEST = 12;
const CROWD = 3;
const SWITCHES = { detect: "Detect", recordings: "Record", snapshots: "Pictures" };
const WORDS = { waiting: "Connecting …", live: "Live", lost: "No picture, trying again …" };
const cards = new Map();
const open = new Map();
let latest = [];

function stageOf(camera) {
  const words = make("span", { class: "stage-words" }, make("span", { class: "dot" }), make("span"));
  const still = make("a", { class: "button", href: ofCamera(camera.name, "latest.jpg"), download: `${camera.name}.jpg`, "aria-label": `Save a picture of ${camera.name}` }, icon("M4 8h3l2-2.5h6L17 8h3v11H4zM12 10.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6"));
  const full = make("button", { type: "button", "aria-label": `${camera.name}: full screen`, click: () => toggleFull(stage) }, icon("M5 9V5h4M15 5h4v4M19 15v4h-4M9 19H5v-4"));
  const video = make("video", { muted: true, playsinline: true, autoplay: true, "aria-label": `Live picture of ${camera.name}` });
  video.muted = true;
  const stage = make("div", { class: "stage", "data-state": "waiting", dblclick: () => toggleFull(stage) }, video, make("img", { alt: `Live picture of ${camera.name}`, hidden: true }), words, make("div", { class: "stage-tools" }, still, full));
  if (camera.width && camera.height) stage.style.aspectRatio = `${camera.width} / ${camera.height}`;
  return stage;
}

function toggleFull(stage) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  else stage.querySelector("video").webkitEnterFullscreen?.();
}

function switchOf(camera, name) {
  const box = make("input", { type: "checkbox", role: "switch" });
  box.checked = camera.switches[name];
  box.addEventListener("change", async () => {
    try {
      box.checked = (await ask(ofCamera(camera.name, `switches/${name}`), { method: "PUT", body: { on: box.checked } })).on;
    } catch (error) {
      box.checked = !box.checked;
      notice(error.message);
    }
  });
  return [name, box];
}

function cardOf(camera, crowd) {
  const stage = stageOf(camera);
  const words = stage.querySelector(".stage-words span:last-child");
  const switches = new Map(Object.keys(SWITCHES).map((name) => switchOf(camera, name)));
  const rows = [...switches].map(([name, box]) => make("label", { class: "switch" }, box, make("span", {}, SWITCHES[name])));
  const now = make("ul", { class: "now", "aria-label": "In the picture now" });
  const element = make("article", { class: "camera", "aria-label": camera.name }, stage, make("div", { class: "camera-foot" }, make("h2", {}, camera.name), now, make("details", {}, make("summary", {}, "Switches"), make("div", { class: "switches" }, ...rows))));
  const tell = (state) => {
    stage.dataset.state = state;
    words.textContent = WORDS[state];
  };
  tell("waiting");
  return { element, now, switches, picture: new LivePicture(stage, camera.name, { crowd, tell }) };
}

async function start() {
  const cameras = await ask("api/cameras");
  const place = at("cameras");
  place.classList.toggle("alone", cameras.length === 1);
  for (const camera of cameras) {
    const card = cardOf(camera, cameras.length > CROWD);
    cards.set(camera.name, card);
    place.append(card.element);
  }
  place.removeAttribute("aria-busy");
  if (!cameras.length) place.append(make("p", { class: "muted" }, "No camera runs: see Condition."));
  if (!document.hidden) showPictures();
}

function showPictures() {
  for (const card of cards.values()) card.picture.show(at("boxes").checked);
}

function showNow() {
  for (const [name, card] of cards) {
    const counts = new Map();
    for (const event of open.values()) if (event.camera === name) counts.set(event.label, (counts.get(event.label) ?? 0) + 1);
    card.now.replaceChildren(...[...counts].map(([label, count]) => make("li", {}, swatch(label), count > 1 ? `${count} × ${label}` : label)));
  }
}

function latestItem(event) {
  const when = event.end_time === null ? "now" : `${shortClock(event.start_time)} · ${span(event.end_time - event.start_time)}`;
  const image = make("img", { src: event.has_snapshot ? ofEvent(event.id, "thumbnail.jpg") : undefined, alt: "", loading: "lazy", width: 175, height: 175 });
  image.addEventListener("error", () => image.removeAttribute("src"), { once: true });
  const place = `review?day=${isoDay(event.start_time)}&event=${encodeURIComponent(event.id)}`;
  return make("li", {}, make("a", { href: place }, image, make("b", {}, swatch(event.label), event.label), make("small", {}, `${event.camera} · ${when}`)));
}

function showLatest() {
  at("latest").replaceChildren(...latest.map(latestItem));
  at("latest-none").hidden = latest.length > 0;
}

async function lookBack() {
  const today = new Date().setHours(0, 0, 0, 0) / 1000;
  [latest] = [await ask(`api/events?limit=${LATEST}&include_thumbnails=0&after=${today}`)];
  open.clear();
  for (const event of await ask("api/events?limit=100&include_thumbnails=0&in_progress=1")) open.set(event.id, event);
  showLatest();
  showNow();
}

follow("joined", () => lookBack().catch((error) => notice(error.message)));
follow("event", ({ type, event }) => {
  if (event.end_time === null) open.set(event.id, event);
  else open.delete(event.id);
  const known = latest.findIndex((each) => each.id === event.id);
  if (known >= 0) latest[known] = event;
  else if (type === "new") latest = [event, ...latest].slice(0, LATEST);
  showNow();
  if (known < 0 || type !== "update") showLatest();
});
follow("status", (status) => {
  for (const [name, card] of cards) {
    const states = status.cameras[name]?.switches ?? {};
    for (const [each, box] of card.switches) if (each in states) box.checked = states[each];
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) showPictures();
  else for (const card of cards.values()) card.picture.stop();
});
addEventListener("pagehide", () => cards.forEach((card) => card.picture.stop()));
addEventListener("pageshow", (shown) => shown.persisted && showPictures());
const kept = localStorage.getItem("boxes");
at("boxes").checked = kept !== "off";
at("boxes").addEventListener("change", () => {
  localStorage.setItem("boxes", at("boxes").checked ? "on" : "off");
  showPictures();
});
start().catch((error) => notice(error.message, { seconds: 60 }));
