// The side panel with all details of one campaign.
import { bar, fill } from "./bar.js";
import { $, el, show } from "./dom.js";
import { age, count, credits, percent, rate, utc } from "./format.js";
import { secondsSince } from "./live.js";
import { spark } from "./spark.js";
import { STATES, inWords, meaning, remedy } from "./states.js";
import { paintStatus, residual } from "./table.js";

const LABELS = { launch: "Launch", edit: "Edit", pause: "Pause", resume: "Resume", cancel: "Cancel", resolve: "Resolve unknown …", duplicate: "Duplicate", delete: "Delete" };
const LOOKS = { launch: "primary", resume: "primary", cancel: "danger", delete: "danger" };
let parts = null;
let current = null;

export function open(onAction, onClose) {
  const section = () => el("div");
  parts = { head: section(), actions: el("div", { class: "actions" }), facts: section(), states: section(), reasons: section(), responses: section(), spark: section(), text: section() };
  const close = el("button", { type: "button", class: "icon", "aria-label": "Close panel", onclick: onClose });
  close.textContent = "×";
  parts.onAction = onAction;
  $("panel").replaceChildren(el("header", {}, parts.head, close), parts.actions, parts.facts, parts.states, parts.spark, parts.reasons, parts.responses, parts.text);
  $("panel").hidden = false;
  document.body.classList.add("has-panel");
  parts.head.append(el("h2", { id: "panel-title", tabindex: "-1" }, "…"));
}

export function close() {
  $("panel").hidden = true;
  $("panel").replaceChildren();
  document.body.classList.remove("has-panel");
  parts = current = null;
}

export function update(data) {
  if (!parts) return;
  const first = current === null;
  current = data;
  const f = data.figures;
  show(parts.head, [data.name, data.tags, data.status, data.reason_text, data.outcome_why, data.created, data.launched, data.finished], () => head(data));
  show(parts.actions, [data.actions, data.status], () => data.actions.map((action) => button(action, data)));
  show(parts.facts, [data.recipients, data.rate, f?.segments, f?.spend, f?.residual, f?.submitted, f?.targeted], () => facts(data));
  show(parts.states, [f?.states, f?.targeted], () => (f ? states(f) : []));
  show(parts.reasons, f?.reasons, () => (f?.reasons.length ? reasons(f) : []));
  show(parts.responses, [f?.clicked, f?.states.delivered], () => (f ? responses(f) : []));
  show(parts.spark, data.history, () => (data.history.length ? [el("h3", {}, "Throughput"), ...spark(data.history)] : []));
  show(parts.text, [data.spec, data.missing], () => message(data));
  tick();
  if (first) $("panel-title").focus({ preventScroll: true });
}

export function tick() {
  const node = parts && $("panel-age");
  if (!node) return;
  const seconds = current.figures ? secondsSince(current.figures.as_of) : null;
  node.textContent = seconds === null ? "No figures yet" : `Figures are ${age(seconds)} old`;
  node.classList.toggle("old", seconds > 5);
}

function head(data) {
  const status = el("span", { class: "status" });
  paintStatus(status, data);
  const times = [`${data.id} · created ${utc(data.created)} UTC`, data.launched && `launched ${utc(data.launched)}`, data.finished && `finished ${utc(data.finished)}`];
  return [
    el("h2", { id: "panel-title", tabindex: "-1" }, data.name), status, " ", el("span", { id: "panel-age", class: "meta" }),
    data.reason ? el("p", { class: "meta" }, data.reason_text) : null,
    data.outcome ? el("p", { class: "outcome" }, `No recipient got this message: ${data.outcome_why}.`) : null,
    el("p", { class: "meta" }, times.filter(Boolean).join(" · ")),
    el("div", { class: "tags" }, ...data.tags.map((tag) => el("span", { class: "tag" }, tag))),
  ].filter((node) => node !== null);
}

function button(action, data) {
  return el("button", { type: "button", class: LOOKS[action] ?? "quiet", "data-action": action, onclick: () => parts.onAction(action, current ?? data) }, LABELS[action]);
}

function fact(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value));
}

function facts(data) {
  const f = data.figures;
  const all = [fact("Recipients", data.recipients ? count(data.recipients) : "–")];
  if (f) all.push(fact("Submitted", count(f.submitted)), fact("Sent/s", data.rate ? rate(data.rate) : "–"), fact("Segments", count(f.segments)), fact("Spend (credits)", credits(f.spend)), fact("Residual", residual(f)));
  return [el("dl", { class: "facts" }, ...all)];
}

function states(f) {
  const big = bar(f, true);
  fill(big, f);
  const rows = STATES.map(([state, name]) => {
    const n = f.states[state] ?? 0;
    return el("tr", { class: n ? null : "zero", "data-state": state, title: meaning(state) },
      el("td", {}, el("span", { class: "swatch", color: state, "aria-hidden": "true" }), name), el("td", { class: "n" }, count(n)), el("td", { class: "n soft" }, percent(n, f.targeted)));
  });
  return [el("h3", {}, "Recipients by state"), big, el("table", {}, el("tbody", {}, ...rows))];
}

function reasons(f) {
  const rows = f.reasons.map((r) => el("tr", { title: remedy(r.reason) || null }, el("td", {}, el("span", { class: "swatch", color: r.state, "aria-hidden": "true" }), inWords(r.reason)), el("td", { class: "n soft" }, r.state), el("td", { class: "n" }, count(r.count))));
  return [el("h3", {}, "Reasons"), el("table", {}, el("tbody", {}, ...rows))];
}

function responses(f) {
  const rows = [["Clicked", f.clicked.people], ["Opened by bots only (not counted)", f.clicked.bots]];
  rows.push(["Replied", f.replied], ["Opted out", f.opted_out]);
  rows[0].push(f.states.delivered ? percent(f.clicked.delivered, f.states.delivered) : "");
  return [el("h3", {}, "Responses"), el("table", {}, el("tbody", {}, ...rows.map(([name, n, rate]) => el("tr", {}, el("td", {}, name), el("td", { class: "n" }, count(n)), el("td", { class: "n soft" }, rate ?? "")))))];
}

const PASSED = { next_day: "the next day if the local time has passed", at_once: "at once if the local time has passed", skip: "skipped if the local time has passed" };

function sendTime(spec) {
  if (!spec.send_at) return "at launch";
  return spec.local_time ? `at ${spec.send_at} in each recipient’s local time (${PASSED[spec.if_passed]})` : `at ${spec.send_at}`;
}

function retry({ retry: of, retries }) {
  const lines = (retries ?? []).map((r) => `Retried as ${r.id} (${r.status}): ${r.name}`);
  if (of) {
    const chain = of.first === of.of ? "" : `, first sent as ${of.first}`;
    lines.unshift(`Retry of ${of.of}${chain}: ${of.recipients === null ? "its list is being made" : `${count(of.recipients)} recipients`} (${[...of.states, ...of.reasons].join(", ")})`);
  }
  return lines.map((line) => el("p", { class: "meta" }, line));
}

function message(data) {
  const { spec } = data;
  const to = [...(spec.audience.lists ?? []).map((l) => `list ${l}`), spec.audience.numbers?.length ? `${count(spec.audience.numbers.length)} numbers` : null].filter(Boolean).join(", ");
  const missing = data.missing?.length ? [el("h3", {}, "Still missing"), el("ul", { class: "missing" }, ...data.missing.map((part) => el("li", {}, `${part.where}: ${part.what}: ${part.fix}`)))] : [];
  const deadline = spec.deadline ? ` · deadline ${spec.deadline}` : "";
  return [...missing, ...retry(data), el("h3", {}, "Message"), ...spec.messages.map((m) => el("p", { class: "message" }, m.text)),
    el("p", { class: "meta" }, `To ${to || "nobody yet"} · from ${spec.account}/${[spec.sender, ...spec.pool].join(", ")} · ${sendTime(spec)}${deadline}`),
    ...spec.messages.flatMap((m) => Object.entries(m.links ?? {}).map(([name, url]) => el("p", { class: "meta" }, `{${name === "default" ? "link" : `link:${name}`}} → ${url}`)))];
}
