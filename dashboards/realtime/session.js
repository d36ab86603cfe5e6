// Who is signed in. The page itself is loaded only then: without a key the API shows nothing.
import { call, setCsrf } from "./api.js";
import { $ } from "./dom.js";

let isShown = false;

function begin(session) {
  setCsrf(session.csrf);
  $("sign-in").hidden = true;
  $("main").hidden = false;
  $("who").textContent = session.name;
  $("who").title = `Key ${session.key} · ${session.scopes.join(", ")} · ${session.accounts.join(", ") || "every account"}`;
  $("sign-out").hidden = false;
  document.documentElement.classList.toggle("reads-only", !session.scopes.some((scope) => scope === "operate" || scope === "admin"));
  import("./app.js");
}

function ask(text) {
  $("main").hidden = true;
  $("live").hidden = true;
  $("sign-in").hidden = false;
  $("s-trouble").textContent = text;
  $("s-trouble").hidden = !text;
  if (!isShown) $("s-key").focus();
  isShown = true;
}

async function signIn(by, secret) {
  try {
    await call("POST", "v1/session", JSON.stringify({ by, secret }));
    location.reload();
  } catch (error) {
    ask(error.message);
  }
}

// The API may still be starting, or wait for Kafka: that is no reason to ask for a key.
async function resume() {
  try {
    begin(await call("GET", "v1/session"));
  } catch (error) {
    if (error.status === 401) { ask(""); return; }
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
    setTimeout(resume, 2000);
  }
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn("key", $("s-key").value.trim());
});
$("sign-out").addEventListener("click", async () => {
  await call("DELETE", "v1/session").catch(() => null);
  location.reload();
});

// True if the address has a sign-in link. It leaves the address at once, so that it stays in no history.
function followLink() {
  const link = new URLSearchParams(location.hash.slice(1)).get("sign-in");
  if (!link) return false;
  history.replaceState(null, "", location.pathname);
  signIn("link", link);
  return true;
}

// A link that is pasted into this tab changes only what follows the #, and loads nothing.
addEventListener("hashchange", followLink);
if (!followLink()) resume();
