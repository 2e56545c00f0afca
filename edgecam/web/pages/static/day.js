/** The events of one day: fetched in parts, the newest first, and chosen from. */
import { ask, isoDay } from "./base.js";

/** So many at first, for what is seen at once; then in larger parts. */
const FIRST = 24;
const PART = 500;
const MOST = 20000;

/** The day of this date, as `2026-11-21`, by the browser's clock. */
export function boundsOf(day) {
  const [year, month, date] = day.split("-").map(Number);
  return { day, start: new Date(year, month - 1, date) / 1000, end: new Date(year, month - 1, date + 1) / 1000 };
}

export const today = () => isoDay(Date.now() / 1000);

export class Day {
  constructor(bounds) {
    this.bounds = bounds;
    this.events = new Map();
    this.leaving = new AbortController();
  }

  /** Fetch them; `shown(more)` is called after each part, `more` being whether others follow. */
  async fetch(shown) {
    const { start, end } = this.bounds;
    let before = end;
    for (let limit = FIRST; ; limit = PART) {
      const query = `after=${start - 0.001}&before=${before}&limit=${limit}&include_thumbnails=0`;
      const part = await ask(`api/events?${query}`, { signal: this.leaving.signal });
      const known = this.events.size;
      for (const event of part) if (!this.events.has(event.id)) this.events.set(event.id, event);
      const more = part.length === limit && this.events.size > known && known < MOST;
      shown(more);
      if (!more) return;
      // A little more than the last one's start: others may have begun at the same moment.
      before = part.at(-1).start_time + 0.0005;
    }
  }

  leave() {
    this.leaving.abort();
  }

  holds(event) {
    return event.start_time >= this.bounds.start && event.start_time < this.bounds.end;
  }

  /** Those that match, newest first. */
  chosen({ camera, label, zone, from, to, kept }) {
    const fromTime = from ? this.#timeOf(from) : -Infinity;
    const toTime = to ? this.#timeOf(to) : Infinity;
    return [...this.events.values()]
      .filter((event) => (!camera || event.camera === camera) && (!label || event.label === label))
      .filter((event) => (!zone || event.zones.includes(zone)) && (!kept || event.retain_indefinitely))
      .filter((event) => event.start_time >= fromTime && event.start_time < toTime)
      .sort((one, other) => other.start_time - one.start_time);
  }

  /** What there is of one kind: `camera`, `label` or `zones`. */
  values(key) {
    return [...new Set([...this.events.values()].flatMap((event) => event[key]))].sort();
  }

  #timeOf(time) {
    const [hours, minutes] = time.split(":").map(Number);
    return new Date(this.bounds.start * 1000).setHours(hours, minutes) / 1000;
  }
}
