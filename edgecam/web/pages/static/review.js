/** The review page: what happened on a day. */
import { ask, at, clock, colourOf, isoDay, notice, ofEvent, shortClock, span } from "./base.js";
import { follow } from "./changes.js";
import { boundsOf, Day, today } from "./day.js";
import { showWhenSeen } from "./pictures.js";
import { showTimeline } from "./timeline.js";
import { Viewer } from "./viewer.js";

const FRESH = 3000;
const FILTERS = ["camera", "label", "zone", "from", "to", "kept"];
const form = at("filters");
const items = new Map();
let cameras = [];
let days = [];
let day = null;
let shown = [];
let redraw = 0;

const viewer = new Viewer({
  step: (by) => open(shown[shown.findIndex(({ id }) => id === viewer.event.id) + by]),
  closed: () => {
    const id = new URLSearchParams(location.search).get("event");
    note({ event: null });
    items.get(id)?.querySelector("a").focus();
  },
  changed: (event) => {
    const known = day.events.get(event.id);
    if (known) known.retain_indefinitely = event.retain_indefinitely;
    showSoon();
  },
  deleted: (id) => {
    const place = shown.findIndex((event) => event.id === id);
    const next = shown[place + 1] ?? shown[place - 1];
    day.events.delete(id);
    show();
    if (next) open(next);
    else viewer.dialog.close();
  },
});

/** Put changes into the address, so that it can be sent and come back to. */
function note(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

function wanted() {
  const { camera, label, zone, from, to, kept } = form.elements;
  return { camera: camera.value, label: label.value, zone: zone.value, from: from.value, to: to.value, kept: kept.checked };
}

function itemOf(event) {
  let item = items.get(event.id);
  if (!item) {
    item = at("event-template").content.firstElementChild.cloneNode(true);
    item.dataset.id = event.id;
    items.set(event.id, item);
    if (event.has_snapshot) showWhenSeen(item.querySelector("img"), ofEvent(event.id, "thumbnail.jpg"));
    item.querySelector("i").style.setProperty("--tint", colourOf(event.label));
    item.querySelector("b").textContent = event.label;
    item.querySelector("a").href = `?day=${day.bounds.day}&event=${encodeURIComponent(event.id)}`;
  } else if (item.shown === event && item.classList.contains("is-kept") === event.retain_indefinitely) {
    return item;
  } else if (event.has_snapshot && item.dataset.end !== String(event.end_time)) {
    showWhenSeen(item.querySelector("img"), `${ofEvent(event.id, "thumbnail.jpg")}?of=${event.best_time}`);
  }
  item.shown = event;
  item.dataset.end = event.end_time;
  const length = event.end_time === null ? "still there" : span(event.end_time - event.start_time);
  item.querySelector(".event-time").textContent = `${clock(event.start_time)} · ${length}`;
  item.querySelector(".event-place").textContent = [event.camera, ...event.zones].join(" · ");
  item.classList.toggle("is-open", event.end_time === null);
  item.classList.toggle("is-kept", event.retain_indefinitely);
  return item;
}

/** One section an hour: what is out of sight costs nothing. */
function showHours() {
  const groups = Map.groupBy ? Map.groupBy(shown, hourOf) : shown.reduce((found, event) => found.set(hourOf(event), [...(found.get(hourOf(event)) ?? []), event]), new Map());
  const place = at("hours");
  const before = new Map([...place.children].map((section) => [section.dataset.hour, section]));
  const sections = [...groups].map(([hour, events]) => hourSection(before.get(hour), hour, events));
  if (sections.length !== place.children.length || sections.some((section, each) => section !== place.children[each])) place.replaceChildren(...sections);
  if (!sections.length) place.replaceChildren(Object.assign(document.createElement("p"), { className: "none", textContent: day.events.size ? "Nothing matches." : "Nothing happened on this day." }));
}

const hourOf = (event) => String(Math.floor((event.start_time - day.bounds.start) / 3600));

function hourSection(known, hour, events) {
  const section = known ?? document.createElement("section");
  if (!known) {
    section.className = "hour";
    section.dataset.hour = hour;
    section.innerHTML = '<h2><span></span><small></small></h2><ul class="events"></ul>';
    section.querySelector("span").textContent = shortClock(day.bounds.start + hour * 3600);
  }
  section.querySelector("small").textContent = `${events.length} ${events.length === 1 ? "event" : "events"}`;
  const list = section.querySelector("ul");
  const wantedItems = events.map(itemOf);
  if (wantedItems.length !== list.children.length || wantedItems.some((item, each) => item !== list.children[each])) list.replaceChildren(...wantedItems);
  return section;
}

function show(more = false) {
  clearTimeout(redraw);
  redraw = 0;
  offer("camera", [...new Set([...cameras.map(({ name }) => name), ...day.values("camera")])]);
  offer("label", day.values("label"));
  offer("zone", [...new Set([...cameras.flatMap(({ zones }) => zones), ...day.values("zones")])].sort());
  const choice = wanted();
  shown = day.chosen(choice);
  at("clear").hidden = !Object.values(choice).some(Boolean);
  const bands = choice.camera ? [choice.camera] : [...form.elements.camera.options].slice(1).map((option) => option.value);
  showTimeline(at("timeline"), day.bounds, bands, shown, goTo);
  const filtered = shown.length < day.events.size ? ` of ${day.events.size}` : "";
  at("count").textContent = more ? "Loading …" : `${shown.length}${filtered} ${day.events.size === 1 ? "event" : "events"}`;
  showHours();
}

/** Many changes at once are shown together. */
function showSoon() {
  redraw ||= setTimeout(show, 100);
}

function offer(name, values) {
  const choice = form.elements[name];
  const before = choice.value || choice.dataset.wanted || "";
  const all = values.includes(before) || !before ? values : [...values, before];
  if ([...choice.options].slice(1).map((option) => option.value).join() === all.join()) return;
  choice.replaceChildren(new Option("All", ""), ...all.map((value) => new Option(value, value)));
  choice.value = before;
}

/** To the event that was the last to begin before a time. */
function goTo(camera, time) {
  const nearest = shown.find((event) => event.camera === camera && event.start_time <= time) ?? shown.findLast((event) => event.camera === camera);
  const item = nearest && items.get(nearest.id);
  item?.scrollIntoView({ block: "center" });
  item?.querySelector("a").focus({ preventScroll: true });
}

function open(event) {
  if (!event) return;
  note({ event: event.id });
  const place = shown.findIndex(({ id }) => id === event.id);
  viewer.show(event, { newer: place > 0, older: place >= 0 && place < shown.length - 1 });
}

async function go(to) {
  day?.leave();
  day = new Day(boundsOf(to));
  items.clear();
  at("hours").replaceChildren();
  at("day").value = to;
  at("day").max = today();
  at("day-after").disabled = to >= today();
  at("day-before").disabled = !days.some((each) => each.day < to);
  note({ day: to === today() ? null : to });
  const current = day;
  at("hours").setAttribute("aria-busy", "true");
  try {
    await day.fetch((more) => current === day && show(more));
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message, { seconds: 30 });
  }
  if (current === day) at("hours").removeAttribute("aria-busy");
}

/** The next day on which there was something; forwards at least to today. */
function nextDay(by) {
  const current = day.bounds.day;
  const others = days.map((each) => each.day);
  return by < 0 ? others.findLast((each) => each < current) : (others.find((each) => each > current) ?? today());
}

async function take({ type, event }) {
  if (!day.holds(event)) {
    if (type === "new" && isoDay(event.start_time) > day.bounds.day) at("day-after").disabled = false;
    return;
  }
  day.events.set(event.id, event);
  viewer.update(event);
  showSoon();
  if (type !== "new") return;
  at("notices").textContent = "";
  setTimeout(() => {
    const item = items.get(event.id);
    item?.classList.add("is-fresh");
    setTimeout(() => item?.classList.remove("is-fresh"), FRESH);
  }, 120);
}

async function start() {
  const query = new URLSearchParams(location.search);
  for (const name of FILTERS) {
    const field = form.elements[name];
    if (name === "kept") field.checked = query.has(name);
    else if (field.tagName === "SELECT") offer(name, query.get(name) ? [query.get(name)] : []), (field.value = query.get(name) ?? "");
    else field.value = query.get(name) ?? "";
  }
  const [first] = await Promise.all([ask("api/cameras").catch(() => []), ask("api/days").then((found) => (days = found)).catch(() => {})]);
  cameras = first;
  const asked = query.get("day");
  await go(/^\d{4}-\d\d-\d\d$/.test(asked ?? "") ? asked : today());
  const id = query.get("event");
  if (id) open(day.events.get(id) ?? (await ask(ofEvent(id)).catch((error) => notice(error.message))));
}

form.addEventListener("input", () => {
  const choice = wanted();
  note(Object.fromEntries(FILTERS.map((name) => [name, name === "kept" ? choice.kept && "1" : choice[name]])));
  show();
});
form.addEventListener("submit", (submitted) => submitted.preventDefault());
form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input"))));
at("day").addEventListener("change", () => at("day").value && go(at("day").value));
at("day-before").addEventListener("click", () => go(nextDay(-1)));
at("day-after").addEventListener("click", () => go(nextDay(1)));
at("hours").addEventListener("click", (pointed) => {
  const item = pointed.target.closest(".event");
  if (!item || pointed.ctrlKey || pointed.metaKey || pointed.shiftKey) return;
  pointed.preventDefault();
  open(day.events.get(item.dataset.id));
});
at("hours").addEventListener("error", (failed) => failed.target.removeAttribute("src"), true);
const started = start().catch((error) => notice(error.message, { seconds: 30 }));
follow("event", (change) => started.then(() => take(change)));
let connections = 0;
// What happened while there was no connection is not told again: look.
follow("joined", () => started.then(() => (connections += 1) > 1 && day.fetch(() => {}).catch(() => {})));
