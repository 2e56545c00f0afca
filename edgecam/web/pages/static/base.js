/** What every page uses: asking the server, making elements, telling times and sizes. */

export class Refused extends Error {
  constructor(message, complaints = [], status = 0) {
    super(message);
    this.complaints = complaints;
    this.status = status;
  }
}

/** Ask the server; the answer's JSON, or its text. Throws Refused, with words for people. */
export async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("edgecam does not answer");
  }
  if (answer.status === 401 && path !== "login") toLogin();
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const said = answer.status === 204 ? null : isJson ? await answer.json() : await answer.text();
  if (answer.ok) return said;
  const words = said?.message ?? said?.detail;
  throw new Refused(typeof words === "string" ? words : `edgecam refused: ${answer.status}`, said?.complaints, answer.status);
}

/** Go to the log-in page, and come back from there. */
export function toLogin() {
  if (document.documentElement.dataset.page === "login") return;
  location.replace(`login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** An element: `make("a", {href: "…", class: "…"}, "words", child)`. Properties that are functions are listeners. */
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, ...children);
}

/** The same for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, ...children);
}

function fill(element, properties, ...children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element of this id. */
export const at = (id) => document.getElementById(id);

/** An icon of one path. */
export function icon(path) {
  return draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: path }));
}

/** Say something at the lower edge, for a few seconds; screen readers say it, too. */
export function notice(words, { seconds = 5 } = {}) {
  const shown = make("p", { class: "notice" }, words);
  at("notices").replaceChildren(shown);
  setTimeout(() => shown.remove(), seconds * 1000);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const SHORT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DATE = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/** Unix seconds as a time of day. */
export const clock = (seconds) => CLOCK.format(seconds * 1000);
export const shortClock = (seconds) => SHORT.format(seconds * 1000);
export const date = (seconds) => DATE.format(seconds * 1000);

/** A date as `2026-11-21`, in the browser's time zone. */
export function isoDay(seconds) {
  const when = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

/** How long, in words: 8 s, 4 min, 3 h 20 min, 5 days. */
export function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 1 : 0)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.round(seconds / 86400)} days`;
}

/** Bytes in words. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  for (; bytes >= 1000 && step < units.length - 1; step += 1) bytes /= 1000;
  return `${bytes < 10 && step ? bytes.toFixed(1) : Math.round(bytes)} ${units[step]}`;
}

const PALETTE = ["#58d4ff", "#ffa400", "#26ec9c", "#fc68b0", "#fef878", "#ff7451", "#a590ff"];
const KNOWN = { person: 0, car: 1, dog: 2, cat: 3, bird: 4, truck: 5, bus: 5, bicycle: 6, motorcycle: 6 };

/** The colour of a label: that of its boxes in the pictures. */
export function colourOf(label) {
  return PALETTE[KNOWN[label] ?? crc32(new TextEncoder().encode(label)) % PALETTE.length];
}

function crc32(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** A spot of a label's colour. */
export function swatch(label) {
  const spot = make("i", { class: "swatch" });
  spot.style.setProperty("--tint", colourOf(label));
  return spot;
}

/** The address of something of an event, such as its `thumbnail.jpg`. */
export const ofEvent = (id, what = "") => `api/events/${encodeURIComponent(id)}${what && "/"}${what}`;
/** The address of something of a camera. */
export const ofCamera = (name, what = "") => `api/${encodeURIComponent(name)}${what && "/"}${what}`;
