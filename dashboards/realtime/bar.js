// The bar of states. Every recipient is in exactly one state, so the parts add up to the full width.
import { el } from "./dom.js";
import { count, percent } from "./format.js";
import { STATES, meaning } from "./states.js";

export function bar(figures, big = false) {
  const node = el("div", { class: big ? "conserve big" : "conserve", role: "img" });
  for (const [state] of STATES) node.append(el("span", { color: state, "data-state": state }));
  fill(node, figures);
  return node;
}

export function fill(node, figures) {
  const all = figures?.targeted ?? 0;
  const labels = [];
  STATES.forEach(([state, name], i) => {
    const n = figures?.states[state] ?? 0;
    const part = node.children[i];
    part.style.width = all ? `${(100 * n) / all}%` : "0";
    part.title = `${name}: ${count(n)} (${percent(n, all)})`;
    if (n) labels.push(`${name} ${percent(n, all)}`);
  });
  node.setAttribute("aria-label", labels.join(", ") || "No recipients yet");
}

export function legend(node) {
  node.replaceChildren(...STATES.map(([state, name]) => el("li", { title: meaning(state) }, el("span", { class: "swatch", color: state, "aria-hidden": "true" }), name)));
}
