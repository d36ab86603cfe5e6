// What an operator does to a campaign: ask where it cannot be undone, call the API, say what came of it.
import { call, path } from "./api.js";
import { $, el, toast } from "./dom.js";
import { count, credits } from "./format.js";

export async function act(action, data, { onEdit, onCreated, onDeleted }) {
  if (action === "edit") return onEdit(data);
  try {
    if (action === "resolve") return await resolve(data);
    if (!(await agreed(action, data))) return undefined;
    const answer = action === "delete" ? await call("DELETE", path(data.id)) : await call("POST", path(data.id, `/${action}`));
    if (answer.carried_out === false) toast(answer.message);
    else toast(said(action, data));
    if (action === "duplicate") onCreated(answer.id);
    if (action === "delete") onDeleted(data.id);
  } catch (error) {
    toast(error.message, true);
  }
  return undefined;
}

const DONE = { launch: "launched", pause: "paused", resume: "resumed", cancel: "canceled", duplicate: "duplicated", delete: "deleted" };
const said = (action, data) => `${data.name}: ${DONE[action]}`;

async function agreed(action, data) {
  if (action === "launch") return launchAgreed(data);
  if (action === "cancel") return ask(`Cancel “${data.name}”?`, [el("p", {}, "Nothing more is handed over once the cancel is recorded. What has been handed over stays sent and is counted. A canceled campaign cannot be resumed, only duplicated.")], "Cancel the campaign");
  if (action === "delete") return ask(`Delete “${data.name}”?`, [el("p", {}, "The campaign goes away for good.")], "Delete");
  return true;
}

const OUTCOMES = [
  ["sent", "They were sent", "counted and billed as accepted"],
  ["not-sent", "They were not sent", "counted as rejected, not billed"],
  ["resend", "Send them again", "as not sent, and a draft to just these people: whoever got the message gets it twice"],
];

async function resolve(data) {
  const choice = ([value, name, meaning], i) => el("label", { class: "choice" }, el("input", { type: "radio", name: "outcome", value, checked: i === 0 ? "" : null }), ` ${name}: ${meaning}.`);
  const body = [el("p", {}, `${count(data.figures.states.unknown)} messages were being handed over when a process died. What became of them?`), ...OUTCOMES.map(choice)];
  if (!(await ask(`Resolve unknown messages of “${data.name}”?`, body, "Resolve"))) return undefined;
  const outcome = $("confirm-text").querySelector("input[name=outcome]:checked").value;
  const answer = await call("POST", path(data.id, "/resolve"), JSON.stringify({ as: outcome, by: "page" }));
  const { recipients, resend } = answer.resolution;
  toast(answer.carried_out === false ? answer.message : `${data.name}: ${count(recipients)} resolved${resend ? `, draft ${resend} made` : ""}`);
  return undefined;
}

async function launchAgreed(data) {
  const review = await call("GET", path(data.id, "/review"));
  const list = (items, look) => (items.length ? [el("ul", { class: look }, ...items.map((i) => el("li", {}, `${i.where}: ${i.what}`)))] : []);
  const about = el("p", {}, `${count(review.sendable)} of ${count(review.recipients)} recipients would get it: ${count(review.segments)} segments and ${credits(review.cost / 1e6)} credits; at least ${count(Math.ceil(review.seconds))} s at the sender's limit.`);
  const skips = Object.entries(review.skipped).map(([reason, n]) => `${count(n)} ${reason}`);
  if (review.expiring) skips.push(`${count(review.expiring)} not before the deadline`);
  const skipped = skips.length ? [el("p", {}, `Would get nothing: ${skips.join(", ")}.`)] : [];
  const ahead = review.forecast;
  const until = (at) => new Date(at).toLocaleString();
  const when = ahead && el("p", {}, (ahead.finish ? `Launched now it would finish at ${until(ahead.finish)}: ` : ahead.beyond_horizon ? `Launched now it would not finish before ${until(ahead.horizon)}, and no forecast looks further: ` : `Launched now it would not reach ${count(ahead.unreached)} of ${count(ahead.recipients)}: `) + `${ahead.why}.`);
  const problems = list(review.problems, "problem");
  const body = [...(problems.length ? [el("p", {}, "It cannot be launched yet:"), ...problems] : [about, ...skipped, ...(when ? [when] : []), ...(review.lateness ? [el("p", {}, review.lateness)] : [])]), ...list(review.warnings, "warning")];
  return ask(`Launch “${data.name}”?`, body, problems.length ? null : "Launch");
}

function ask(title, body, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").replaceChildren(...body);
  $("confirm-yes").hidden = yes === null;
  $("confirm-yes").textContent = yes ?? "";
  $("confirm-yes").className = yes === "Launch" ? "primary" : "danger";
  $("confirm-no").textContent = yes === null ? "Close" : yes === "Cancel the campaign" || yes === "Delete" ? "Keep it" : "Not yet";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => { dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }); });
}

