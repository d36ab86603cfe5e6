// The stream of the server, and the words for how fresh the page is.
import { $ } from "./dom.js";
import { age } from "./format.js";

let source = null;
let lastHeard = 0;
let skew = 0;
let sources = null;
let everHeard = false;

// Seconds since an instant of the server, by the server's clock.
export const secondsSince = (iso) => (Date.now() + skew - Date.parse(iso)) / 1000;

export function listen(query, onEvent) {
  source?.close();
  const mine = new EventSource(`v1/live?${query}`);
  source = mine;
  mine.onmessage = (message) => {
    if (source !== mine) return;
    const event = JSON.parse(message.data);
    lastHeard = Date.now();
    everHeard = true;
    sources = event.sources;
    skew = Date.parse(sources.now) - Date.now();
    onEvent(event);
  };
  mine.onerror = () => {
    if (source !== mine) return;
    lastHeard = 0;
    // A browser gives up for good when it was answered with an error (a proxy's 502): then we begin again.
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => { if (source === mine) listen(query, onEvent); }, 2000);
  };
}

// `oldest` is the age in seconds of the oldest figures of a campaign that is under way, null without one.
export function tellFreshness(oldest) {
  const silent = Date.now() - lastHeard > 5000;
  let state = "live";
  let text = "live";
  if (silent) [state, text] = everHeard ? ["reconnecting", "reconnecting …"] : ["connecting", "connecting …"];
  else if (oldest !== null && oldest > 5) [state, text] = ["stale", `live · figures ${age(oldest)} old`];
  else if (oldest !== null) text = `live · figures ${age(oldest)} old`;
  const node = $("live");
  node.dataset.state = state;
  // A screen reader is told of a change of state, not of each second.
  node.setAttribute("aria-live", state === "live" ? "off" : "polite");
  $("live-text").textContent = text;
  tellTrouble(silent && everHeard, oldest);
}

function tellTrouble(silent, oldest) {
  const said = [];
  if (silent) said.push("The API does not answer: what you see is from before. Trying again.");
  else if (sources) {
    if (!sources.kafka.ok) said.push(`${sources.kafka.problem} since ${sources.kafka.since.slice(11, 19)} UTC: statuses are as of then and commands are refused until it is back.`);
    if (!sources.clickhouse.ok) {
      const old = oldest === null ? "" : ` Figures are ${age(oldest)} old;`;
      said.push(`ClickHouse unreachable since ${sources.clickhouse.since.slice(11, 19)} UTC.${old} statuses are live and sending goes on.`);
    }
  }
  const node = $("trouble");
  const text = said.join(" ");
  if (node.textContent !== text) node.textContent = text;
  node.title = sources && !sources.clickhouse.ok ? sources.clickhouse.problem : "";
  node.hidden = !text;
}
