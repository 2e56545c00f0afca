/** The log-in page. */
import { ask, at } from "./base.js";

function wanted() {
  const next = new URL(new URLSearchParams(location.search).get("next") ?? "./", document.baseURI);
  return next.origin === location.origin ? next.href : "./";
}

at("login").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const button = submitted.target.querySelector("button");
  button.disabled = true;
  at("refused").textContent = "";
  try {
    await ask("login", { method: "POST", body: { password: at("password").value } });
    location.replace(wanted());
  } catch (error) {
    const said = error.message;
    at("refused").textContent = `${said[0].toUpperCase()}${said.slice(1)}.`;
    button.disabled = false;
    at("password").select();
  }
});
const session = await ask("session").catch(() => null);
if (session?.authenticated) location.replace(wanted());
