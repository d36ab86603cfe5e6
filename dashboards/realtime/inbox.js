// What people wrote to us, what it changed, what we answered, and every other change of consent; newest first.
import { call } from "./api.js";
import { $, el, show, toast } from "./dom.js";
import { secondsSince } from "./live.js";

const EVERY = 3000;
// What a text changes is recorded apart from it: for so many seconds nobody can say that it changed nothing.
const FRESH = 10;
const INTENTS = { stop: "STOP", start: "START", help: "HELP", doubtful: "opt-out?", other: "text" };
const SOURCES = { link: "opt-out link", api: "API", import: "import", inbound: "text", review: "decision" };
const NOTES = { unread_sender: "the sender cannot be read as a number", implausible_time: "its time was implausible: the time of arrival is shown", cut: "cut after 4,096 characters", broken_characters: "broken characters replaced" };
// The cursors of the pages up to the one shown; what comes in or is decided moves nobody over their edges.
let places = [""];
let following = "";
let timer = 0;
let asking = 0;

export function prepare() {
  let typing = 0;
  const anew = () => { places = [""]; ask(); };
  $("i-what").addEventListener("change", anew);
  $("i-number").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(anew, 300); });
  $("i-filter").addEventListener("submit", (event) => { event.preventDefault(); anew(); });
  $("i-clear").addEventListener("click", () => { $("i-what").value = $("i-number").value = ""; anew(); });
  $("i-prev").addEventListener("click", () => { places.pop(); ask(); });
  $("i-next").addEventListener("click", () => { places.push(following); $("i-next").disabled = true; ask(); });
}

export function open() {
  ask();
}

export function close() {
  clearTimeout(timer);
  asking += 1;
}

// Whoever reads an older page is not disturbed by what comes in; and who waits long for an answer asks less often.
function again(took) {
  clearTimeout(timer);
  timer = setTimeout(() => (places.length === 1 && !document.hidden ? ask() : again(0)), Math.max(EVERY, 5 * took));
}

async function ask() {
  const mine = (asking += 1);
  const begun = performance.now();
  const query = new URLSearchParams({ cursor: places.at(-1) });
  for (const key of ["what", "number"]) if ($(`i-${key}`).value.trim()) query.set(key, $(`i-${key}`).value.trim());
  try {
    const found = await call("GET", `v1/inbox?${query}`);
    if (mine === asking) paint(found);
  } catch (error) {
    if (mine === asking) complain(error.message);
  }
  if (mine === asking) again(performance.now() - begun);
}

function paint({ lines: found, next }) {
  following = next;
  complain("");
  const lines = found.map((line) => ({ ...line, fresh: secondsSince(line.at) < FRESH }));
  show($("i-rows"), lines, () => lines.map(row));
  $("i-empty").hidden = lines.length > 0;
  $("i-empty").textContent = $("i-what").value || $("i-number").value.trim() ? "Nothing matches. Clear shows all." : "Nobody has written yet, and nobody has opted out.";
  $("i-pages").textContent = `page ${places.length}`;
  $("i-prev").disabled = places.length <= 1;
  $("i-next").disabled = !next;
}

function complain(text) {
  $("i-trouble").textContent = text;
  $("i-trouble").hidden = !text;
}

function row(line) {
  return el("tr", {},
    el("td", { class: "soft c-at" }, line.at.slice(0, 19).replace("T", " ")),
    el("td", { class: "c-number" }, line.number || el("span", { class: "soft", title: NOTES.unread_sender }, line.person || "no sender")),
    el("td", {}, pill(line)),
    el("td", { class: "c-said", title: line.intent ? `to ${line.sender}, id ${line.id}` : null }, line.intent ? line.text : line.evidence || "–", why(line)),
    el("td", { class: "c-change", "data-label": "Consent" }, change(line), line.hold ? decide(line) : null),
    el("td", { class: "c-answer", "data-label": "Answer" }, line.answer ? el("span", { title: `${line.answer.kind}, ${line.answer.at.slice(0, 19).replace("T", " ")} UTC` }, line.answer.text) : el("span", { class: "soft" }, "none")));
}

const pill = (line) => el("span", { class: "status", "data-i": line.intent ?? "change" }, line.intent ? INTENTS[line.intent] : (SOURCES[line.source] ?? line.source));

function change(line) {
  if (!line.number) return line.intent === "other" ? el("span", { class: "soft" }, "–") : el("b", { class: "held", title: "Find out who wrote, and opt them out." }, "nobody knows whose");
  if (line.change === null) return el("span", { class: "soft" }, line.fresh && line.intent !== "other" ? "…" : "unchanged");
  if (line.change === "held" || line.hold) return el("b", { class: "held" }, line.hold ? "held" : "was held");
  const at = line.account ? ` at ${line.account}` : " everywhere";
  if (line.source === "review" && line.change === "in") return el("b", { class: "in" }, "hold ended");
  return line.change === "out" ? el("b", { class: "out", title: `opted out${at}` }, "opted out") : el("b", { class: "in", title: `opted in${at}` }, "opted in");
}

// Which word and rule decided, who did, and what was odd about the text.
function why(line) {
  const said = [];
  if (line.word) said.push(`“${line.word}”${line.rule ? ` by rule ${line.rule}` : ""}`);
  if (line.who) said.push(`decided by ${line.who}`);
  for (const note of line.notes) said.push(NOTES[note] ?? note);
  return said.length ? el("span", { class: "soft grounds" }, said.join("; ")) : null;
}

function decide(line) {
  const button = (decision, text, done) => el("button", { type: "button", class: "quiet", onclick: () => settle(line, decision, done) }, text);
  return el("span", { class: "decide" }, button("out", "Opt out", "opted out"), button("clear", "Not an opt-out", "no opt-out: the hold is ended"));
}

async function settle(line, decision, done) {
  try {
    await call("POST", `v1/optouts/${encodeURIComponent(line.number)}/holds`, JSON.stringify({ decision, hold: line.hold, who: "page" }));
    toast(`${line.number}: ${done}`);
  } catch (error) {
    toast(error.message, true);
  }
  ask();
}
