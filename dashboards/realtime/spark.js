// Throughput of the last two minutes as a line. Points are [ms, messages submitted so far].
import { el, svg } from "./dom.js";
import { rate } from "./format.js";

export function spark(points) {
  const rates = smooth(points);
  if (rates.length < 2) return [el("p", { class: "meta" }, "No messages were submitted in the last two minutes.")];
  const top = Math.max(...rates.map((p) => p[1]), 1);
  const [from, to] = [rates[0][0], rates.at(-1)[0]];
  const xy = rates.map(([t, v]) => `${((t - from) / (to - from)) * 100} ${38 - (v / top) * 36}`);
  const picture = svg("svg", { class: "spark", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `Up to ${rate(top)} messages a second` },
    svg("path", { class: "area", d: `M${xy.join("L")}L100 40L0 40Z` }), svg("path", { d: `M${xy.join("L")}` }));
  return [picture, el("p", { class: "meta" }, `Up to ${rate(top)}/s · last ${Math.round((to - from) / 1000)} s`)];
}

function smooth(points) {
  const rates = [];
  for (let i = 1; i < points.length; i += 1) {
    const back = points[Math.max(0, i - 3)];
    const dt = points[i][0] - back[0];
    if (dt > 0) rates.push([points[i][0], Math.max(0, ((points[i][1] - back[1]) * 1000) / dt)]);
  }
  return rates.some((p) => p[1] > 0) ? rates : [];
}
