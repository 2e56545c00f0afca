/** The picture in which marks are drawn: with a mouse, a finger or the keyboard. */
import { at, draw, make } from "./base.js";
import { directionPlaces, KINDS, plain, tidy, tintOf, titleOf } from "./marks.js";

const STEP = 0.01;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** How near the first corner, in parts of the picture, a click closes a polygon. */
const CLOSE = 0.025;
const RESTING = "Choose a mark to change it, or draw another one:";

export class Drawing {
  /** `changing()` is called before, `changed()` after each change, `chose(mark)` where one is pointed at. */
  constructor({ changing, changed, chose, drawn }) {
    this.told = { changing, changed, chose, drawn };
    this.place = at("picture");
    this.svg = at("marks");
    this.handles = this.place.appendChild(make("div", { class: "handles" }));
    this.marks = [];
    this.chosen = null;
    this.aspect = 16 / 9;
    this.pending = null;
    this.#hint(RESTING);
    this.place.addEventListener("click", (pointed) => this.#click(pointed));
    document.addEventListener("keydown", (pressed) => this.#key(pressed));
  }

  show(marks, chosen) {
    [this.marks, this.chosen] = [marks, chosen];
    this.#redraw();
  }

  /** Begin to draw a mark of this kind. */
  begin(kind) {
    this.pending = { kind, points: [] };
    this.place.classList.add("is-drawing");
    this.#hint(kind === "line" ? "Point at both ends of the line. Enter puts one into the middle, Escape gives up." : "Point at the corners, then at the first one again or press Enter. Enter at once puts one into the middle, Escape gives up.");
    this.#redraw();
  }

  #finish() {
    const { kind, points } = this.pending;
    const enough = points.length >= (kind === "line" ? 2 : 3);
    if (!enough && points.length) return;
    this.#leave();
    this.told.drawn(kind, enough ? points : plain(kind));
  }

  #leave() {
    this.pending = null;
    this.place.classList.remove("is-drawing");
    this.#hint(RESTING);
  }

  #hint(words) {
    at("hint").textContent = words;
  }

  #pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.place.getBoundingClientRect();
    return [tidy((clientX - left) / width), tidy((clientY - top) / height)];
  }

  #click(pointed) {
    if (!this.pending) {
      if (!pointed.target.closest(".shape, button")) this.told.chose(null);
      return;
    }
    const point = this.#pointOf(pointed);
    const { kind, points } = this.pending;
    const isClosing = points.length >= 3 && Math.hypot((point[0] - points[0][0]) * this.aspect, point[1] - points[0][1]) < CLOSE;
    if (!isClosing) points.push(point);
    if (isClosing || (kind === "line" && points.length === 2)) this.#finish();
    else this.#redraw();
  }

  #key(pressed) {
    if (!this.pending || pressed.target.closest("input, select, textarea")) return;
    if (pressed.key === "Escape") {
      this.#leave();
      this.#redraw();
    } else if (pressed.key === "Enter") {
      pressed.preventDefault();
      this.#finish();
    }
  }

  #redraw() {
    const focused = document.activeElement?.dataset.corner;
    this.svg.replaceChildren(...this.marks.map((mark) => this.#shape(mark)));
    const words = this.marks.flatMap((mark) => this.#words(mark));
    const corners = this.chosen && !this.pending ? this.#corners(this.chosen) : [];
    if (this.pending) {
      const { kind, points } = this.pending;
      this.svg.append(shapeOf({ kind: kind === "line" || points.length < 3 ? "line" : kind, points }, "#ffffff", "is-new"));
      words.push(...points.map((point) => placed(make("span", {}, "•"), point)));
    }
    this.handles.replaceChildren(...words, ...corners);
    if (focused !== undefined) this.handles.querySelector(`[data-corner="${focused}"]`)?.focus();
  }

  #shape(mark) {
    const shape = shapeOf(mark, tintOf(mark, this.marks), mark === this.chosen ? "is-chosen" : "");
    shape.addEventListener("click", (pointed) => {
      if (this.pending) return;
      pointed.stopPropagation();
      this.told.chose(mark);
    });
    return shape;
  }

  #words(mark) {
    const middle = [0, 1].map((axis) => mark.points.reduce((sum, point) => sum + point[axis], 0) / mark.points.length);
    const name = placed(make("span", {}, titleOf(mark, this.marks)), mark.kind === "line" ? mark.points[0] : middle);
    if (mark.kind !== "line") return [name];
    const [first, second] = directionPlaces(mark.points, this.aspect);
    const [there, back] = mark.options.directions ?? ["in", "out"];
    return [name, placed(make("span", { class: "is-direction" }, there), first), placed(make("span", { class: "is-direction" }, back), second)];
  }

  #corners(mark) {
    const title = titleOf(mark, this.marks);
    const found = mark.points.map((point, number) => {
      const words = `${title}: ${mark.kind === "line" ? "end" : "corner"} ${number + 1}, ${Math.round(point[0] * 100)} % right, ${Math.round(point[1] * 100)} % down`;
      return this.#handle(mark, number, point, { "aria-label": words, title: "Move with the arrow keys; Delete removes it", "data-corner": number });
    });
    if (mark.kind === "line") return found;
    const between = mark.points.map((point, number) => {
      const next = mark.points[(number + 1) % mark.points.length];
      const middle = [tidy((point[0] + next[0]) / 2), tidy((point[1] + next[1]) / 2)];
      const button = make("button", { type: "button", class: "between", "aria-label": `${title}: another corner after ${number + 1}` });
      const insert = () => {
        this.told.changing();
        mark.points.splice(number + 1, 0, middle);
      };
      button.addEventListener("pointerdown", (pressed) => {
        insert();
        this.#drag(pressed, mark, number + 1);
      });
      button.addEventListener("click", (pointed) => {
        if (pointed.detail !== 0) return;  // not by keyboard: the drag has done it
        insert();
        this.told.changed();
        this.handles.querySelector(`[data-corner="${number + 1}"]`)?.focus();
      });
      return placed(button, middle);
    });
    return [...found, ...between];
  }

  #handle(mark, number, point, attributes) {
    const button = make("button", { type: "button", ...attributes });
    button.style.setProperty("--tint", tintOf(mark, this.marks));
    button.addEventListener("pointerdown", (pressed) => {
      this.told.changing();
      this.#drag(pressed, mark, number);
    });
    button.addEventListener("dblclick", () => this.#remove(mark, number));
    button.addEventListener("keydown", (pressed) => {
      const arrow = ARROWS[pressed.key];
      if (arrow) {
        pressed.preventDefault();
        this.told.changing();
        const step = pressed.shiftKey ? STEP * 5 : STEP;
        mark.points[number] = [tidy(point[0] + arrow[0] * step), tidy(point[1] + arrow[1] * step)];
        this.told.changed();
      } else if (pressed.key === "Delete" || pressed.key === "Backspace") this.#remove(mark, number);
    });
    return placed(button, point);
  }

  /** Move a corner with the pointer until that is let go. */
  #drag(pressed, mark, number) {
    pressed.preventDefault();
    const move = (moved) => {
      mark.points[number] = this.#pointOf(moved);
      this.#redraw();
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      this.told.changed();
      this.handles.querySelector(`[data-corner="${number}"]`)?.focus();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  #remove(mark, number) {
    if (mark.kind === "line" || mark.points.length <= 3) {
      this.#hint(`A ${KINDS[mark.kind].toLowerCase()} needs its ${mark.kind === "line" ? "two ends" : "three corners"}.`);
      return;
    }
    this.told.changing();
    mark.points.splice(number, 1);
    this.told.changed();
  }
}

function shapeOf({ kind, points }, tint, more) {
  const text = points.map(([x, y]) => `${x},${y}`).join(" ");
  const shape = draw(kind === "line" ? "polyline" : "polygon", { points: text, class: `shape ${kind} ${more}`, fill: "none" });
  shape.style.setProperty("--tint", tint);
  return shape;
}

function placed(element, [x, y]) {
  element.style.left = `${x * 100}%`;
  element.style.top = `${y * 100}%`;
  return element;
}
