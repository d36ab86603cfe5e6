// An operator's actions on a campaign: confirm what cannot be undone, call the API, show the outcome.
import { call, path } from "./api.js";
import { $, el, toast } from "./dom.js";
import { count, credits } from "./format.js";
import { inWords } from "./states.js";

export async function act(action, data, { onEdit, onCreated, onDeleted }) {
  if (action === "edit") return onEdit(data);
  try {
    if (action === "resolve") return await resolve(data);
    if (!(await confirmed(action, data))) return undefined;
    const answer = action === "delete" ? await call("DELETE", path(data.id)) : await call("POST", path(data.id, `/${action}`));
    if (answer.carried_out === false) toast(answer.message);
    else toast(doneText(action, data));
    if (action === "duplicate") onCreated(answer.id);
    if (action === "delete") onDeleted(data.id);
  } catch (error) {
    toast(error.message, true);
  }
  return undefined;
}

const DONE = { launch: "launched", pause: "paused", resume: "resumed", cancel: "canceled", duplicate: "duplicated", delete: "deleted" };
const doneText = (action, data) => `${data.name}: ${DONE[action]}`;

async function confirmed(action, data) {
  if (action === "launch") return launchConfirmed(data);
  if (action === "cancel") return confirmDialog(`Cancel “${data.name}”?`, [el("p", {}, "No more messages are submitted once the cancellation is recorded. Messages already submitted cannot be recalled and still count. A canceled campaign cannot be resumed, but it can be duplicated.")], "Cancel campaign");
  if (action === "delete") return confirmDialog(`Delete “${data.name}”?`, [el("p", {}, "The draft is removed and cannot be restored.")], "Delete");
  return true;
}

const OUTCOMES = [
  ["sent", "They were sent", "count and bill them as accepted"],
  ["not-sent", "They were not sent", "count them as rejected, do not bill them"],
  ["resend", "Send them again", "count them as rejected and create a draft for these recipients; anyone who did get the message gets it twice"],
];

async function resolve(data) {
  const choice = ([value, name, meaning], i) => el("label", { class: "choice" }, el("input", { type: "radio", name: "outcome", value, checked: i === 0 ? "" : null }), ` ${name}: ${meaning}.`);
  const body = [el("p", {}, `${count(data.figures.states.unknown)} messages have no known outcome: a process stopped or no answer came while they were being submitted. What does the aggregator say?`), ...OUTCOMES.map(choice)];
  if (!(await confirmDialog(`Resolve unknown messages of “${data.name}”?`, body, "Resolve"))) return undefined;
  const outcome = $("confirm-text").querySelector("input[name=outcome]:checked").value;
  const answer = await call("POST", path(data.id, "/resolve"), JSON.stringify({ as: outcome, by: "page" }));
  const { recipients, resend } = answer.resolution;
  toast(answer.carried_out === false ? answer.message : `${data.name}: ${count(recipients)} resolved${resend ? `, draft ${resend} created` : ""}`);
  return undefined;
}

async function launchConfirmed(data) {
  const review = await call("GET", path(data.id, "/review"));
  const list = (items, look) => (items.length ? [el("ul", { class: look }, ...items.map((i) => el("li", {}, `${i.where}: ${i.what}`)))] : []);
  const about = el("p", {}, `${count(review.sendable)} of ${count(review.recipients)} recipients will get this message. It takes ${count(review.segments)} segments, costs ${credits(review.cost / 1e6)} credits, and needs at least ${count(Math.ceil(review.seconds))} s at the sender’s limit.`);
  if (review.available !== null) about.append(` Up to ${credits(review.most / 1e6)} credits are reserved for it until it is sent; ${credits(review.available / 1e6)} are available.`);
  const skips = Object.entries(review.skipped).map(([reason, n]) => `${count(n)} (${inWords(reason)})`);
  if (review.expiring) skips.push(`${count(review.expiring)} (not due before the deadline)`);
  const skipped = skips.length ? [el("p", {}, `Skipped: ${skips.join("; ")}.`)] : [];
  const forecast = review.forecast;
  const until = (at) => new Date(at).toLocaleString();
  const when = forecast && el("p", {}, (forecast.finish ? `If launched now, it finishes at ${until(forecast.finish)}: ` : forecast.beyond_horizon ? `If launched now, it will still be running at ${until(forecast.horizon)}, where the forecast ends: ` : `If launched now, it will not reach ${count(forecast.unreached)} of ${count(forecast.recipients)} recipients: `) + `${forecast.why}.`);
  const lengths = review.texts.map((text) => text.histogram.map(([segments, texts]) => `${count(segments)} in ${count(texts)} texts`).join(", ")).filter(Boolean);
  const shown = (character) => (/^[\p{Z}\p{C}]$/u.test(character) ? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : character);
  const replaced = review.texts.flatMap((text) => text.replaced).map((change) => `${shown(change.character)} ${change.by ? `by ${change.by === " " ? "a space" : shown(change.by)}` : "by nothing"} (${count(change.texts)} texts)`);
  const texts = [...lengths.map((line) => el("p", {}, `Segments: ${line}.`)), ...(replaced.length ? [el("p", {}, `Characters replaced to save segments: ${replaced.join("; ")}.`)] : [])];
  const problems = list(review.problems, "problem");
  const body = [...(problems.length ? [el("p", {}, "This campaign cannot be launched yet:"), ...problems] : [about, ...texts, ...skipped, ...(when ? [when] : []), ...(review.lateness ? [el("p", {}, review.lateness)] : [])]), ...list(review.warnings, "warning")];
  return confirmDialog(`Launch “${data.name}”?`, body, problems.length ? null : "Launch");
}

function confirmDialog(title, body, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").replaceChildren(...body);
  $("confirm-yes").hidden = yes === null;
  $("confirm-yes").textContent = yes ?? "";
  $("confirm-yes").className = yes === "Launch" ? "primary" : "danger";
  $("confirm-no").textContent = yes === null ? "Close" : yes === "Cancel campaign" || yes === "Delete" ? "Keep" : "Not now";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => { dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }); });
}

