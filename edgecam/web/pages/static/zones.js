/** The zones page: marks in a camera's picture, drawn, checked, put into the configuration. */
import { ask, at, make, notice, ofCamera } from "./base.js";
import "./changes.js";
import { Drawing } from "./drawing.js";
import { freeName, fromDocument, KINDS, tintOf, titleOf, toDocument } from "./marks.js";

const UNDO = 50;
let cameras = [];
let camera = null;
let marks = [];
let chosen = null;
let saved = "";
let undo = [];

const drawing = new Drawing({
  changing: () => {
    undo.push(JSON.stringify(marks));
    if (undo.length > UNDO) undo.shift();
  },
  changed: () => show(),
  chose: (mark) => choose(mark),
  drawn: (kind, points) => {
    remember();
    const named = kind === "zone" || kind === "line";
    marks.push({ kind, name: named ? freeName(kind, marks) : "", points, options: kind === "line" ? { directions: ["in", "out"] } : {} });
    choose(marks.at(-1));
    at("details").querySelector("input")?.select();
  },
});

const remember = () => undo.push(JSON.stringify(marks));
const isChanged = () => JSON.stringify(marks) !== saved;

function choose(mark) {
  chosen = mark;
  show();
  showDetails();
}

function show() {
  drawing.show(marks, chosen);
  at("list").replaceChildren(...marks.map(row));
  if (!marks.length) at("list").append(make("li", { class: "muted" }, "None so far: draw one in the picture."));
  at("undo").disabled = !undo.length;
  at("save").disabled = !isChanged();
  at("complaints").replaceChildren();
  at("toml").hidden = true;
}

function row(mark) {
  const spot = make("i", { class: "swatch" });
  spot.style.setProperty("--tint", tintOf(mark, marks));
  const name = make("button", { type: "button", "aria-pressed": String(mark === chosen), click: () => choose(mark === chosen ? null : mark) }, spot, titleOf(mark, marks), make("small", {}, KINDS[mark.kind]));
  return make("li", {}, name);
}

function field(words, value, put, more = {}) {
  const input = make("input", { type: "text", value, ...more });
  input.addEventListener("change", () => {
    remember();
    put(input);
    show();
  });
  const { note: said } = more;
  return make("label", {}, words, input, said ? make("small", {}, said) : null);
}

const asList = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

function detailsOf(mark) {
  const { kind, options } = mark;
  if (kind === "mask") return [make("p", {}, "What is detected in here is ignored.")];
  if (kind === "privacy") return [make("p", {}, "This part of every picture is black, before anything looks at it, keeps it or sends it.")];
  const labels = field("Labels", (options.labels ?? []).join(", "), ({ value }) => (options.labels = asList(value)), { note: "Empty: all. Else as person, dog", list: "labels" });
  const fields = [field("Name", mark.name, ({ value }) => (mark.name = value.trim()), { required: true, maxlength: 64 }), labels];
  if (kind === "line") {
    const directions = (options.directions ??= ["in", "out"]);
    const one = (place, words) => field(words, directions[place], ({ value }) => (directions[place] = value.trim()));
    return [...fields, make("div", { class: "pair" }, one(0, "Over it is"), one(1, "Back is"))];
  }
  const required = make("input", { type: "checkbox" });
  required.checked = mark.required ?? false;
  required.addEventListener("change", () => {
    remember();
    mark.required = required.checked;
    show();
  });
  const loiter = field("Counts after, seconds", options.loitering_time ?? 0, ({ value }) => (options.loitering_time = Number(value)), { type: "number", min: 0, step: "any" });
  const inertia = field("Looks until so", options.inertia ?? 3, ({ value }) => (options.inertia = Number(value)), { type: "number", min: 1, max: 100 });
  return [...fields, make("div", { class: "pair" }, loiter, inertia), make("label", { class: "check" }, required, "Only what was in such a zone becomes an event")];
}

function showDetails() {
  const form = at("details");
  form.hidden = !chosen;
  if (!chosen) return;
  const remove = make("button", { type: "button", class: "danger", click: () => {
    remember();
    marks = marks.filter((mark) => mark !== chosen);
    choose(null);
  } }, `Remove ${titleOf(chosen, marks)}`);
  form.replaceChildren(...detailsOf(chosen), remove);
}

function complain(error) {
  const said = error.complaints?.length ? error.complaints : [error.message];
  at("complaints").replaceChildren(...said.map((each) => make("li", {}, each)));
}

function showToml(toml) {
  at("toml-text").textContent = toml;
  at("toml").hidden = false;
}

async function check() {
  at("complaints").replaceChildren();
  try {
    showToml((await ask(ofCamera(camera.name, "marks/check"), { method: "POST", body: toDocument(marks) })).toml);
  } catch (error) {
    complain(error);
  }
}

async function save() {
  at("complaints").replaceChildren();
  at("save").disabled = true;
  try {
    const answer = await ask(ofCamera(camera.name, "marks"), { method: "PUT", body: toDocument(marks) });
    saved = JSON.stringify(marks);
    const later = answer.needs_restart;
    notice(later.length ? `Saved. In force when edgecam starts again: ${later.join(", ")}` : "Saved, and in force.", { seconds: 8 });
    setTimeout(refresh, 1500);
  } catch (error) {
    complain(error);
    at("save").disabled = false;
  }
}

function refresh() {
  at("still").src = `${ofCamera(camera.name, "latest.jpg")}?bbox=0&h=1080&at=${Date.now()}`;
}

async function go(name) {
  camera = cameras.find((each) => each.name === name) ?? cameras[0];
  at("camera").value = camera.name;
  drawing.aspect = camera.width && camera.height ? camera.width / camera.height : 16 / 9;
  at("picture").style.aspectRatio = drawing.aspect;
  history.replaceState(null, "", `?camera=${encodeURIComponent(camera.name)}`);
  refresh();
  marks = fromDocument(await ask(ofCamera(camera.name, "marks")));
  saved = JSON.stringify(marks);
  undo = [];
  at("labels")?.remove();
  document.body.append(make("datalist", { id: "labels" }, ...camera.labels.map((label) => make("option", { value: label }))));
  choose(null);
}

async function start() {
  cameras = await ask("api/cameras");
  if (!cameras.length) {
    notice("No camera runs: see Condition.", { seconds: 60 });
    return;
  }
  at("camera").replaceChildren(...cameras.map(({ name }) => new Option(name, name)));
  await go(new URLSearchParams(location.search).get("camera"));
}

at("camera").addEventListener("change", () => {
  const name = at("camera").value;
  at("camera").value = camera.name;
  if (!isChanged() || confirm("Leave without saving what was drawn?")) go(name).catch(complain);
});
for (const button of document.querySelectorAll("[data-draw]")) button.addEventListener("click", () => {
  choose(null);
  drawing.begin(button.dataset.draw);
  button.blur();
});
at("refresh").addEventListener("click", refresh);
at("save").addEventListener("click", save);
at("check").addEventListener("click", check);
at("undo").addEventListener("click", () => {
  marks = JSON.parse(undo.pop());
  choose(null);
});
at("copy").addEventListener("click", async () => {
  await navigator.clipboard?.writeText(at("toml-text").textContent).then(() => notice("Copied."), () => getSelection().selectAllChildren(at("toml-text")));
});
at("details").addEventListener("submit", (submitted) => submitted.preventDefault());
addEventListener("beforeunload", (leaving) => isChanged() && leaving.preventDefault());
start().catch((error) => notice(error.message, { seconds: 60 }));
