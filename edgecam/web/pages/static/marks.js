/** The marks of a camera as the page works with them, and as the configuration has them. */

const TINTS = ["#26ec9c", "#58d4ff", "#ffa400", "#fc68b0", "#fef878", "#a590ff"];
export const KINDS = { zone: "Zone", line: "Line", mask: "Mask", privacy: "Privacy mask" };
/** How finely points are kept: less than a pixel of most pictures. */
const FINE = 10000;

export const tidy = (number) => Math.round(Math.min(1, Math.max(0, number)) * FINE) / FINE;

/** The API's document as a list of marks: {kind, name, points, options, required}. */
export function fromDocument(document) {
  const zones = Object.entries(document.zones).map(([name, { polygon, ...options }]) => ({ kind: "zone", name, points: polygon, options, required: document.required_zones.includes(name) }));
  const lines = Object.entries(document.lines).map(([name, { points, ...options }]) => ({ kind: "line", name, points, options }));
  const masks = document.masks.map((points) => ({ kind: "mask", name: "", points, options: {} }));
  const privacy = document.privacy_masks.map((points) => ({ kind: "privacy", name: "", points, options: {} }));
  return [...zones, ...lines, ...masks, ...privacy];
}

/** And back. Throws Error with words where two have the same name, which the document could not say. */
export function toDocument(marks) {
  const document = { zones: {}, lines: {}, masks: [], privacy_masks: [], required_zones: [] };
  for (const { kind, name, points, options, required } of marks) {
    if (kind === "mask") document.masks.push(points);
    else if (kind === "privacy") document.privacy_masks.push(points);
    else {
      const named = kind === "zone" ? document.zones : document.lines;
      if (!name) throw new Error(`A ${kind} has no name.`);
      if (name in named) throw new Error(`Two ${kind}s are called ${name}.`);
      named[name] = kind === "zone" ? { polygon: points, ...options } : { points, ...options };
      if (required) document.required_zones.push(name);
    }
  }
  return document;
}

/** What a mark is called on the page. */
export function titleOf(mark, marks) {
  return mark.name || `${KINDS[mark.kind]} ${marks.filter(({ kind }) => kind === mark.kind).indexOf(mark) + 1}`;
}

/** The colour of a mark. */
export function tintOf(mark, marks) {
  if (mark.kind === "privacy") return "#000000";
  if (mark.kind === "mask") return "#9ba6b0";
  return TINTS[marks.indexOf(mark) % TINTS.length];
}

/** A name that no other has: zone_1 … */
export function freeName(kind, marks) {
  for (let number = 1; ; number += 1) {
    const name = `${kind}_${number}`;
    if (!marks.some((mark) => mark.name === name)) return name;
  }
}

/** What a mark looks like that was not drawn by hand. */
export function plain(kind) {
  return kind === "line" ? [[0.3, 0.6], [0.7, 0.6]] : [[0.35, 0.4], [0.65, 0.4], [0.65, 0.75], [0.35, 0.75]];
}

/** Where the names of a line's directions stand: over it from left to right, seen along it, is the first. */
export function directionPlaces([[x0, y0], [x1, y1]], aspect) {
  const [along, down] = [(x1 - x0) * aspect, y1 - y0];
  const length = Math.hypot(along, down) || 1;
  const [aside, below] = [(-down / length) * 0.07, (along / length) * 0.07];
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  return [[x + aside / aspect, y + below], [x - aside / aspect, y - below]];
}
