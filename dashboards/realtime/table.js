// The list of campaigns. Rows change in place, so that focus stays where it is.
import { bar, fill } from "./bar.js";
import { $, el } from "./dom.js";
import { age, count, percent, rate, utc } from "./format.js";
import { secondsSince } from "./live.js";
import { CHANGING } from "./states.js";

const known = new Map(); // id -> {data, node}

export function update(event, selected, onSelect) {
  for (const data of event.rows) {
    const entry = known.get(data.id) ?? { node: make(data.id, onSelect) };
    entry.data = data;
    known.set(data.id, entry);
    paint(entry);
  }
  for (const id of known.keys()) if (!event.order.includes(id)) known.delete(id);
  arrange($("rows"), event.order.map((id) => known.get(id)?.node).filter(Boolean));
  select(selected);
  tick();
}

// Move only rows that are out of place: a moved row loses focus.
function arrange(body, nodes) {
  for (const old of [...body.children]) if (!nodes.includes(old)) old.remove();
  nodes.forEach((node, i) => { if (body.children[i] !== node) body.insertBefore(node, body.children[i] ?? null); });
}

export function select(id) {
  for (const [key, { node }] of known) node.setAttribute("aria-current", String(key === id));
}


export const focusRow = (id) => known.get(id)?.node.querySelector("button").focus();

// Update the ages. Returns the age in seconds of the oldest figures of a running campaign, or null.
export function tick() {
  let oldest = null;
  for (const { data, node } of known.values()) {
    const cell = node.querySelector(".c-age");
    const seconds = data.figures ? Math.max(0, secondsSince(data.figures.as_of)) : null;
    cell.textContent = seconds === null ? "–" : `${age(seconds)} ago`;
    cell.classList.toggle("none", seconds === null);
    const live = CHANGING.has(data.status);
    cell.classList.toggle("old", live && seconds > 5);
    if (live && seconds !== null) oldest = Math.max(oldest ?? 0, seconds);
  }
  return oldest;
}

function make(id, onSelect) {
  const name = el("button", { type: "button", class: "name" });
  const node = el("tr", { "data-id": id, onclick: () => onSelect(id) },
    el("td", {}, name, el("div", { class: "tags" })),
    el("td", {}, el("span", { class: "status" })),
    el("td", { class: "wide soft c-created" }),
    el("td", { class: "n c-recipients", "data-label": "Recipients" }),
    el("td", { class: "c-bar" }, bar(null), el("div", { class: "done" })),
    el("td", { class: "n c-rate", "data-label": "Sent/s" }),
    el("td", { class: "n c-residual", "data-label": "Residual" }),
    el("td", { class: "n soft c-age", "data-label": "Updated" }));
  return node;
}

function paint({ data, node }) {
  node.querySelector(".name").textContent = data.name;
  node.querySelector(".tags").replaceChildren(...data.tags.map((tag) => el("span", { class: "tag" }, tag)));
  paintStatus(node.querySelector(".status"), data);
  node.querySelector(".c-created").textContent = utc(data.created);
  node.querySelector(".c-recipients").textContent = data.recipients ? count(data.recipients) : "–";
  fill(node.querySelector(".conserve"), data.figures);
  node.querySelector(".done").textContent = progressText(data);
  node.querySelector(".c-rate").textContent = data.rate ? rate(data.rate) : "–";
  node.querySelector(".c-residual").replaceChildren(residual(data.figures));
  hideEmpty(node);
}

// A narrow screen leaves out empty cells.
function hideEmpty(node) {
  for (const cell of node.querySelectorAll("td.n")) cell.classList.toggle("none", cell.textContent === "–");
}

export function paintStatus(node, data) {
  const why = data.reason_text || data.outcome_why;
  node.dataset.s = data.outcome ? "nobody" : data.status;
  node.replaceChildren(el("span", why ? { class: "why", title: why } : {}, data.outcome ? `${data.status}, ${data.outcome}` : data.status));
  if (why) node.append(el("span", { class: "unseen" }, `: ${why}`));
}

export function residual(figures) {
  if (!figures) return "–";
  return figures.residual === 0 ? "0" : el("span", { class: "residual-bad", title: "These recipients are in no state or in two. This is a defect: please report it." }, count(figures.residual));
}

function progressText(data) {
  const f = data.figures;
  if (data.status === "scheduled" && data.send_at) return `scheduled for ${utc(data.send_at)}`;
  if (!f || !f.targeted) return data.status === "draft" ? "not launched yet" : "";
  return `${count(f.submitted)} submitted (${percent(f.submitted, f.targeted)})`;
}
