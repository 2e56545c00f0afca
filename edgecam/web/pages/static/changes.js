/** What happens, as it happens: one stream for a page, while the page is seen. */
import { at, toLogin, ask } from "./base.js";

const AGAIN = 3000;
const listeners = { event: new Set(), status: new Set(), joined: new Set() };
let stream = null;
let timer = 0;

/** Have `tell` called with each change of this kind: event ({type, event}), status, or joined (after each connection). */
export function follow(kind, tell) {
  listeners[kind].add(tell);
}

function tell(kind, told) {
  for (const each of listeners[kind]) each(told);
}

function open() {
  clearTimeout(timer);
  if (stream || document.hidden) return;
  stream = new EventSource("api/changes");
  stream.addEventListener("open", () => tell("joined"));
  for (const kind of ["event", "status"]) {
    stream.addEventListener(kind, (message) => tell(kind, JSON.parse(message.data)));
  }
  stream.addEventListener("error", () => {
    showState("away", "No connection");
    if (stream?.readyState !== EventSource.CLOSED) return;
    close();
    timer = setTimeout(comeAgain, AGAIN);
  });
}

function close() {
  stream?.close();
  stream = null;
}

async function comeAgain() {
  const session = await ask("session").catch(() => null);
  if (session && !session.authenticated) toLogin();
  else open();
}

function showState(kind, words) {
  const state = at("state");
  state.hidden = false;
  state.className = `state is-${kind}`;
  at("state-words").textContent = words;
}

async function offerLogout() {
  const session = await ask("session").catch(() => null);
  const button = at("logout");
  button.hidden = !session?.password_needed;
  button.addEventListener("click", async () => {
    await ask("logout", { method: "POST" }).catch(() => null);
    location.replace("login");
  });
}

follow("status", (status) => {
  const troubles = status.reasons.length;
  showState(status.status, troubles ? (troubles === 1 ? "1 trouble" : `${troubles} troubles`) : "All is well");
  at("state").title = status.reasons.join("\n");
});
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", (shown) => shown.persisted && open());
offerLogout();
open();
