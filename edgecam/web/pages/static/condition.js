/** The condition page: what `edgecam status` knows, how it was, and what was lost. */
import { ask, at, clock, date, make, notice, size, span } from "./base.js";
import { follow } from "./changes.js";
import { plot } from "./plot.js";

const LOOK_EVERY = 5000;
const PLOT_EVERY = 10000;
const fps = (value) => `${value.toFixed(1)}/s`;
const ms = (value) => (value < 10 ? `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms` : span(value));
const ago = (time) => span(Math.max(0, Date.now() / 1000 - time));
let history = null;

function pairs(rows) {
  return make("dl", { class: "pairs" }, ...rows.filter(([, value]) => value !== null && value !== "" && value !== undefined).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function card(id, title, note = "", isOk = null, where = null) {
  const known = at(id);
  if (known) {
    known.querySelector("h2 small").textContent = note;
    known.querySelector("h2").className = isOk === null ? "" : isOk ? "is-ok" : "is-degraded";
    return known.querySelector(".body");
  }
  const head = make("h2", { class: isOk === null ? "" : isOk ? "is-ok" : "is-degraded" }, isOk === null ? null : make("span", { class: "dot" }), title, make("small", {}, note));
  const body = make("div", { class: "body" });
  (where ?? at("cards")).append(make("section", { class: "card", id, "aria-label": title }, head, body, make("div", { class: "plots" })));
  return body;
}

function showOverall(status) {
  const place = at("overall");
  const isOk = status.status === "ok";
  const words = JSON.stringify([status.status, status.reasons, status.clock_synced]);
  if (place.dataset.words === words) return;
  place.dataset.words = words;
  place.className = `overall is-${status.status}`;
  const reasons = status.reasons.map((reason) => make("li", {}, reason));
  place.replaceChildren(make("b", {}, make("span", { class: "dot" }), isOk ? "All is well" : "Not all is well"), ...(reasons.length ? [make("ul", {}, ...reasons)] : []), make("p", {}, `Since ${date(status.since)}, ${clock(status.since)}.${status.clock_synced ? "" : " The clock is not known to be right."}`));
  place.removeAttribute("aria-busy");
}

function showCamera(name, state, stats) {
  const { detector, camera, switches } = state;
  const off = Object.entries(switches).filter(([, on]) => !on).map(([each]) => each);
  const body = card(`camera-${name}`, name, detector.device ? `${detector.model} on ${detector.device}` : "no detector", camera.open && !(detector.lost_since && switches.detect));
  const { counters, latencies, fps: rates } = stats;
  body.replaceChildren(pairs([
    ["Camera", camera.open ? "works" : `lost for ${ago(camera.lost_since)}`],
    ["Came back", camera.reopened ? `${camera.reopened} times` : ""],
    ["Detector", detector.lost_since ? `lost for ${ago(detector.lost_since)}` : detector.degraded],
    ["Switched off", off.join(", ")],
    ["Pictures", `${fps(rates.captured)}, ${fps(rates.analysed)} analysed`],
    ["Until analysed", half(latencies.detect)],
    ["Until shown", half(latencies.output)],
    ["Events so far", `${counters.events}${counters.events_lost ? `, ${counters.events_lost} lost` : ""}`],
    ["Dropped so far", counters.frames_dropped ? `${counters.frames_dropped} of ${counters.frames_captured}` : "none"],
  ]));
}

const half = ({ p50, p95 }) => (p50 === null ? "" : `${ms(p50)} (95 %: ${ms(p95)})`);

function showDisk({ disk, spool }, storage) {
  const body = card("disk", "Disk", "", null, at("machine"));
  const rows = [
    ["Folder", disk.path],
    ["Free", disk.free_bytes === null ? "not known" : `${size(disk.free_bytes)} of ${size(disk.total_bytes)}`],
    ["Clips", size(storage.stored_bytes)],
    ["Clips beyond their bounds", storage.over_bytes ? size(storage.over_bytes) : ""],
    ["Clips deleted so far", storage.deleted ? `${storage.deleted}, ${size(storage.deleted_bytes)}` : ""],
    ["Written in a day, about", storage.written_per_day ? size(storage.written_per_day) : ""],
  ];
  if (spool.messages || spool.lost) rows.push(["Messages for the broker", `${spool.messages} wait, ${spool.lost} lost`]);
  const used = disk.total_bytes ? 1 - disk.free_bytes / disk.total_bytes : 0;
  const percent = `${Math.round(used * 100)} % of the disk is used`;
  body.replaceChildren(make("meter", { value: used, max: 1, high: 0.95, optimum: 0.3, title: percent, "aria-label": percent }), pairs(rows));
}

function showBoard({ board, version }, { process }) {
  const body = card("board", "Board", board.model, null, at("machine"));
  body.replaceChildren(pairs([
    ["Temperature", process.temperature_celsius === null ? "" : `${process.temperature_celsius.toFixed(0)} °C`],
    ["Suffers", board.throttled.join(", ")],
    ["Suffered before", board.throttled_before.join(", ")],
    ["Running for", span(process.uptime)],
    ["CPU", `${process.cpu.toFixed(2)} cores`],
    ["Memory", process.rss_bytes === null ? "" : size(process.rss_bytes)],
    ["edgecam", version.edgecam],
    ["Runtime", version.runtime],
    ["Python", version.python],
  ]));
}

function setPlots(id, plots) {
  at(id)?.querySelector(".plots").replaceChildren(...plots);
}

function showPlots() {
  const { times, cameras, interval } = history;
  const options = { gap: interval * 3 };
  for (const [name, each] of Object.entries(cameras)) {
    const latencies = ["inference", "detect", "output"].map((stage) => ({ name: stage, values: each[stage] }));
    setPlots(`camera-${name}`, [
      plot("Pictures", times, [{ name: "captured", values: each.captured }, { name: "analysed", values: each.analysed }], fps, options),
      plot("Latency", times, latencies, ms, { ...options, least: 0.02 }),
      plot("Dropped", times, [{ name: "", values: each.dropped }], (value) => String(Math.round(value)), { ...options, least: 5, area: true }),
    ]);
  }
  const known = history.temperature_celsius.some((value) => value !== null);
  setPlots("board", [
    ...(known ? [plot("Temperature", times, [{ name: "", values: history.temperature_celsius }], (value) => `${value.toFixed(0)} °C`, { ...options, least: 60 })] : []),
    plot("CPU", times, [{ name: "", values: history.cpu }], (value) => `${value.toFixed(2)} cores`, { ...options, area: true }),
    plot("Memory", times, [{ name: "", values: history.rss_bytes }], size, { ...options, area: true }),
  ]);
}

function showLog() {
  const rows = history.log.toReversed().map(({ time, reason, over }) => make("li", {}, make("time", { datetime: new Date(time * 1000).toISOString() }, `${date(time)}, ${clock(time)}`), make("span", { class: over ? "is-ok" : "is-degraded" }, over ? "over" : "began"), make("span", {}, reason)));
  at("log").replaceChildren(...rows);
  at("log-none").hidden = rows.length > 0;
}

async function look() {
  try {
    const { status, stats } = await ask("api/status");
    showOverall(status);
    for (const [name, state] of Object.entries(status.cameras)) if (stats.cameras[name]) showCamera(name, state, stats.cameras[name]);
    if (!at("machine")) at("cards").append(make("div", { id: "machine", class: "machine" }));
    showBoard(status, stats);
    showDisk(status, stats.storage);
  } catch (error) {
    at("overall").className = "overall is-away";
    at("overall").dataset.words = "";
    at("overall").replaceChildren(make("b", {}, make("span", { class: "dot" }), error.message));
  }
}

async function lookBack() {
  try {
    history = await ask(`api/history?hours=${at("hours").value}`);
    showPlots();
    showLog();
  } catch (error) {
    notice(error.message);
  }
}

/** Look again and again, while the page is seen. */
async function keep(looking, every) {
  if (!document.hidden) await looking();
  setTimeout(() => keep(looking, every), every);
}

follow("status", showOverall);
at("hours").addEventListener("change", lookBack);
document.addEventListener("visibilitychange", () => !document.hidden && look().then(lookBack));
await keep(look, LOOK_EVERY);
keep(lookBack, PLOT_EVERY);
