// DOM helpers. All text is set as textContent, so nothing from a campaign is ever parsed as HTML.
export const $ = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") node.addEventListener("click", value);
    else if (name === "color") node.style.setProperty("--c", `var(--${value})`);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Replace a section only when its content has changed, so that focus and selection inside it stay.
const shown = new WeakMap();
export function show(node, key, make) {
  const text = JSON.stringify(key);
  if (shown.get(node) === text) return;
  shown.set(node, text);
  node.replaceChildren(...make());
}

let hiding = 0;
export function toast(text, bad = false) {
  const node = $("toast");
  node.textContent = text;
  node.toggleAttribute("data-bad", bad);
  node.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { node.hidden = true; }, bad ? 9000 : 4000);
}
