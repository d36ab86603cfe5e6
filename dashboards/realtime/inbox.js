// Inbound texts with our replies, and every consent change; newest first.
import { call } from "./api.js";
import { $, el, show, toast } from "./dom.js";
import { secondsSince } from "./live.js";

const EVERY = 3000;
// A text and its consent change are recorded separately. For so many seconds "unchanged" would be premature.
const FRESH = 10;
const INTENTS = { stop: "STOP", start: "START", help: "HELP", doubtful: "opt-out?", other: "other" };
const SOURCES = { link: "opt-out link", api: "API", import: "import", inbound: "text", review: "decision" };
const NOTES = { unread_sender: "the sender’s number could not be read", implausible_time: "the aggregator’s time was implausible; the time of arrival is shown", cut: "cut to 4,096 characters", broken_characters: "unreadable characters replaced" };
// The cursors of the pages up to the one shown. New lines do not move lines between pages.
let cursors = [""];
let nextCursor = "";
let timer = 0;
let requestNumber = 0;

export function prepare() {
  let typing = 0;
  const restart = () => { cursors = [""]; refresh(); };
  $("i-what").addEventListener("change", restart);
  $("i-number").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(restart, 300); });
  $("i-filter").addEventListener("submit", (event) => { event.preventDefault(); restart(); });
  $("i-clear").addEventListener("click", () => { $("i-what").value = $("i-number").value = ""; restart(); });
  $("i-prev").addEventListener("click", () => { cursors.pop(); refresh(); });
  $("i-next").addEventListener("click", () => { cursors.push(nextCursor); $("i-next").disabled = true; refresh(); });
}

export function open() {
  refresh();
}

export function close() {
  clearTimeout(timer);
  requestNumber += 1;
}

// Refresh only the first page, so that older pages stay still. Slow answers make it refresh less often.
function schedule(took) {
  clearTimeout(timer);
  timer = setTimeout(() => (cursors.length === 1 && !document.hidden ? refresh() : schedule(0)), Math.max(EVERY, 5 * took));
}

async function refresh() {
  const mine = (requestNumber += 1);
  const startedAt = performance.now();
  const query = new URLSearchParams({ cursor: cursors.at(-1) });
  for (const key of ["what", "number"]) if ($(`i-${key}`).value.trim()) query.set(key, $(`i-${key}`).value.trim());
  try {
    const inbox = await call("GET", `v1/inbox?${query}`);
    if (mine === requestNumber) paint(inbox);
  } catch (error) {
    if (mine === requestNumber) showError(error.message);
  }
  if (mine === requestNumber) schedule(performance.now() - startedAt);
}

function paint({ lines: inbox, next }) {
  nextCursor = next;
  showError("");
  const lines = inbox.map((line) => ({ ...line, fresh: secondsSince(line.at) < FRESH }));
  show($("i-rows"), lines, () => lines.map(row));
  $("i-empty").hidden = lines.length > 0;
  $("i-empty").textContent = $("i-what").value || $("i-number").value.trim() ? "No replies match these filters." : "No replies and no consent changes yet.";
  $("i-pages").textContent = `Page ${cursors.length}`;
  $("i-prev").disabled = cursors.length <= 1;
  $("i-next").disabled = !next;
}

function showError(text) {
  $("i-trouble").textContent = text;
  $("i-trouble").hidden = !text;
}

function row(line) {
  return el("tr", {},
    el("td", { class: "soft c-at" }, line.at.slice(0, 19).replace("T", " ")),
    el("td", { class: "c-number" }, line.number || el("span", { class: "soft", title: NOTES.unread_sender }, line.person || "No sender")),
    el("td", {}, pill(line)),
    el("td", { class: "c-said", title: line.intent ? `To ${line.sender}, ID ${line.id}` : null }, line.intent ? line.text : line.evidence || "–", why(line)),
    el("td", { class: "c-change", "data-label": "Consent" }, change(line), line.hold ? decide(line) : null),
    el("td", { class: "c-answer", "data-label": "Reply" }, line.answer ? el("span", { title: `${line.answer.kind}, ${line.answer.at.slice(0, 19).replace("T", " ")} UTC` }, line.answer.text) : el("span", { class: "soft" }, "No reply")));
}

const pill = (line) => el("span", { class: "status", "data-i": line.intent ?? "change" }, line.intent ? INTENTS[line.intent] : (SOURCES[line.source] ?? line.source));

function change(line) {
  if (!line.number) return line.intent === "other" ? el("span", { class: "soft" }, "–") : el("b", { class: "held", title: "Find out who wrote this text, and opt the number out." }, "number unknown");
  if (line.change === null) return el("span", { class: "soft" }, line.fresh && line.intent !== "other" ? "…" : "unchanged");
  if (line.change === "held" || line.hold) return el("b", { class: "held" }, line.hold ? "held" : "hold ended");
  const out = line.account ? `of ${line.account}` : "everywhere";
  const into = line.account ? `to ${line.account}` : "everywhere";
  if (line.source === "review" && line.change === "in") return el("b", { class: "in" }, "hold ended");
  return line.change === "out" ? el("b", { class: "out", title: `opted out ${out}` }, "opted out") : el("b", { class: "in", title: `opted in ${into}` }, "opted in");
}

// The keyword and rule that decided, the operator who decided, and notes about the text.
function why(line) {
  const notes = [];
  if (line.word) notes.push(`“${line.word}”${line.rule ? ` by rule ${line.rule}` : ""}`);
  if (line.who) notes.push(`decided by ${line.who}`);
  for (const note of line.notes) notes.push(NOTES[note] ?? note);
  return notes.length ? el("span", { class: "soft grounds" }, notes.join("; ")) : null;
}

function decide(line) {
  const button = (decision, text, done) => el("button", { type: "button", class: "quiet", onclick: () => decideHold(line, decision, done) }, text);
  return el("span", { class: "decide" }, button("out", "Opt out", "opted out"), button("clear", "Not an opt-out", "not an opt-out, hold ended"));
}

async function decideHold(line, decision, done) {
  try {
    await call("POST", `v1/optouts/${encodeURIComponent(line.number)}/holds`, JSON.stringify({ decision, hold: line.hold, who: "page" }));
    toast(`${line.number}: ${done}`);
  } catch (error) {
    toast(error.message, true);
  }
  refresh();
}
