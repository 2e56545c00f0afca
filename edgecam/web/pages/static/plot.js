/** A small plot: a few series over time, its values said in words, and read off by pointing at it. */
import { draw, make, shortClock } from "./base.js";

const WIDTH = 600;
const HEIGHT = 60;
const ROOM = 5;

/** The plot of `series`, [{name, values}], with a value each for `times`; `word(value)` says a value; `least`: how high
 *  the plot is at least. */
export function plot(title, times, series, word, { least = 1, gap = 30, area = false } = {}) {
  const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
  const top = Math.max(least, ...all) * 1.08;
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 1];
  const x = (time) => ((time - first) / Math.max(1, last - first)) * WIDTH;
  const y = (value) => HEIGHT - ROOM - (value / top) * (HEIGHT - 2 * ROOM);
  const lines = series.flatMap(({ values }, number) => pathsOf(values, times, { x, y, gap, area }).map((path) => draw("path", { ...path, class: `series-${number} ${path.class}` })));
  const cursor = draw("path", { class: "at-line" });
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary(title, series, word) }, ...lines, cursor);
  const readings = series.map(() => make("span"));
  const when = make("b", {}, title);
  const show = (place) => {
    when.textContent = place === null || place === times.length - 1 ? title : `${title} at ${shortClock(times[place])}`;
    series.forEach(({ name, values }, number) => {
      const value = values[place ?? values.length - 1] ?? null;
      readings[number].replaceChildren(make("i", { class: `series-${number}` }), `${name ? `${name} ` : ""}${value === null ? "–" : word(value)}`);
    });
    cursor.setAttribute("d", place === null ? "" : `M${x(times[place]).toFixed(1)} 0v${HEIGHT}`);
  };
  show(null);
  const place = make("div", { class: "plot-area" }, svg);
  place.addEventListener("pointermove", (moved) => times.length && show(nearest(times, moved, svg, first, last)));
  place.addEventListener("pointerleave", () => show(null));
  return make("figure", { class: "plot" }, make("figcaption", {}, when, ...readings), place);
}

/** The lines of a series, with gaps where there is nothing. */
function pathsOf(values, times, { x, y, gap, area }) {
  const parts = [];
  let part = [];
  values.forEach((value, place) => {
    const isBroken = value === null || (part.length && times[place] - times[place - 1] > gap);
    if (isBroken && part.length) [parts[parts.length], part] = [part, []];
    if (value !== null) part.push([x(times[place]), y(value)]);
  });
  if (part.length) parts.push(part);
  return parts.flatMap((points) => {
    const line = points.map(([right, down]) => `${right.toFixed(1)} ${down.toFixed(1)}`).join("L");
    const below = `M${points[0][0].toFixed(1)} ${HEIGHT}L${line}L${points.at(-1)[0].toFixed(1)} ${HEIGHT}z`;
    return area ? [{ class: "area", d: below }, { class: "", d: `M${line}` }] : [{ class: "", d: `M${line}h.1` }];
  });
}

function summary(title, series, word) {
  const said = series.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    if (!known.length) return `${name} nothing yet`;
    return `${name} now ${word(known.at(-1))}, from ${word(Math.min(...known))} to ${word(Math.max(...known))}`.trim();
  });
  return `${title}: ${said.join("; ")}`;
}

function nearest(times, { clientX }, svg, first, last) {
  const { left, width } = svg.getBoundingClientRect();
  const wanted = first + ((clientX - left) / width) * (last - first);
  return times.reduce((best, time, place) => (Math.abs(time - wanted) < Math.abs(times[best] - wanted) ? place : best), 0);
}
