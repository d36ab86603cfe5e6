// The server's event stream, and the texts that show how fresh the page is.
import { call } from "./api.js";
import { $ } from "./dom.js";
import { age } from "./format.js";

let source = null;
let lastEventAt = 0;
let skew = 0;
let sources = null;
let hasConnected = false;

// Seconds since an instant, by the server's clock.
export const secondsSince = (iso) => (Date.now() + skew - Date.parse(iso)) / 1000;

export function listen(query, onEvent) {
  source?.close();
  const mine = new EventSource(`v1/live?${query}`);
  source = mine;
  mine.onmessage = (message) => {
    if (source !== mine) return;
    const event = JSON.parse(message.data);
    lastEventAt = Date.now();
    hasConnected = true;
    sources = event.sources;
    skew = Date.parse(sources.now) - Date.now();
    onEvent(event);
  };
  mine.onerror = () => {
    if (source !== mine) return;
    lastEventAt = 0;
    // After an error response (for instance a proxy's 502) a browser does not reconnect. We do.
    // If the session is over, `call` begins again.
    if (mine.readyState === EventSource.CLOSED) {
      call("GET", "v1/session").catch(() => null);
      setTimeout(() => { if (source === mine) listen(query, onEvent); }, 2000);
    }
  };
}

// `oldest`: age in seconds of the oldest figures of a running campaign; null if none is running.
export function showFreshness(oldest) {
  const isSilent = Date.now() - lastEventAt > 5000;
  let state = "live";
  let text = "Live";
  if (isSilent) [state, text] = hasConnected ? ["reconnecting", "Reconnecting …"] : ["connecting", "Connecting …"];
  else if (oldest !== null && oldest > 5) [state, text] = ["stale", `Live · figures ${age(oldest)} old`];
  else if (oldest !== null) text = `Live · figures ${age(oldest)} old`;
  const node = $("live");
  node.dataset.state = state;
  // A screen reader announces changes of state, not each second.
  node.setAttribute("aria-live", state === "live" ? "off" : "polite");
  $("live-text").textContent = text;
  showTrouble(isSilent && hasConnected, oldest);
}

function showTrouble(isSilent, oldest) {
  const sentences = [];
  if (isSilent) sentences.push("The API is not responding. This page shows the last known state and keeps trying to reconnect.");
  else if (sources) {
    if (!sources.kafka.ok) sentences.push(`${sources.kafka.problem} since ${sources.kafka.since.slice(11, 19)} UTC. Statuses are from that time, and commands are refused until Kafka is back.`);
    if (!sources.clickhouse.ok) {
      const old = oldest === null ? "" : ` Figures are ${age(oldest)} old.`;
      sentences.push(`ClickHouse unreachable since ${sources.clickhouse.since.slice(11, 19)} UTC.${old} Statuses are live and sending continues.`);
    }
  }
  const node = $("trouble");
  const text = sentences.join(" ");
  if (node.textContent !== text) node.textContent = text;
  node.title = sources && !sources.clickhouse.ok ? sources.clickhouse.problem : "";
  node.hidden = !text;
}
