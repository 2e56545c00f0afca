/** The timeline: a day of each camera as a band, an event as a mark in its label's colour. */
import { colourOf, draw, make, shortClock } from "./base.js";

const WIDTH = 2880;
/** Least width of a mark: four minutes. */
const LEAST = 8;

/** Show the events of a day; `go(camera, time)` is called where somebody points at it. */
export function showTimeline(place, { start, end }, cameras, events, go) {
  const bands = cameras.flatMap((camera) => band(camera, { start, end }, events.filter((event) => event.camera === camera), go));
  const step = matchMedia("(max-width: 47.99rem)").matches ? 6 : 3;
  const hours = Array.from({ length: 24 / step + 1 }, (_none, each) => start + each * step * 3600);
  const axis = make("div", { class: "axis", "aria-hidden": "true" }, ...hours.map((time, each) => make("span", {}, each * step === 24 ? "24:00" : shortClock(time))));
  place.replaceChildren(...bands, axis);
}

function band(camera, { start, end }, events, go) {
  const scale = WIDTH / (end - start);
  const paths = new Map();
  for (const event of events) {
    const left = (event.start_time - start) * scale;
    const wide = Math.max(LEAST, ((event.end_time ?? Date.now() / 1000) - event.start_time) * scale);
    paths.set(event.label, `${paths.get(event.label) ?? ""}M${left.toFixed(1)} 2h${wide.toFixed(1)}v24h-${wide.toFixed(1)}z`);
  }
  const marks = [...paths].map(([label, path]) => {
    const mark = draw("path", { class: "mark", d: path });
    mark.style.setProperty("--tint", colourOf(label));
    return mark;
  });
  const now = (Date.now() / 1000 - start) * scale;
  if (now > 0 && now < WIDTH) marks.push(draw("path", { class: "now-line", d: `M${now.toFixed(1)} 0v28` }));
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} 28`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...marks);
  const track = make("div", { class: "track", role: "img", "aria-label": summary(camera, events) }, svg);
  track.addEventListener("click", (pointed) => {
    const { left, width } = track.getBoundingClientRect();
    go(camera, start + ((pointed.clientX - left) / width) * (end - start));
  });
  return [make("b", { title: camera }, camera), track];
}

function summary(camera, events) {
  const counts = new Map();
  for (const { label } of events) counts.set(label, (counts.get(label) ?? 0) + 1);
  return `${camera}: ${[...counts].map(([label, count]) => `${count} ${label}`).join(", ") || "nothing"}`;
}
