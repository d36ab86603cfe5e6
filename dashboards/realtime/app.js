// The page. Filter and selected campaign are in the address, so a reload keeps them.
import { act } from "./actions.js";
import { legend } from "./bar.js";
import * as create from "./create.js";
import { $, el, toast } from "./dom.js";
import * as inbox from "./inbox.js";
import { listen, showFreshness } from "./live.js";
import * as panel from "./panel.js";
import { STATUSES } from "./states.js";
import * as table from "./table.js";

const wanted = { search: "", status: "", tag: "", page: 1, campaign: "", view: "" };
let shown = { total: 0, pages: 1 };

function readAddress() {
  const query = new URLSearchParams(location.hash.slice(1));
  for (const key of ["search", "status", "tag", "campaign"]) wanted[key] = query.get(key) ?? "";
  wanted.view = query.get("view") === "replies" ? "replies" : "";
  if (!STATUSES.includes(wanted.status)) wanted.status = "";
  wanted.page = Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1);
}

function request() {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(wanted)) if (value && !(key === "page" && value === 1)) query.set(key, value);
  history.replaceState(null, "", query.size ? `#${query}` : location.pathname);
  query.delete("view");
  listen(query, onEvent);
}

// Show campaigns or replies. Replies close the campaign panel; the event stream stays open because it shows freshness.
function showView(which) {
  wanted.view = which;
  if (which && wanted.campaign) deselect();
  for (const name of ["campaigns", "replies"]) {
    const here = name === (which || "campaigns");
    $(`view-${name}`).hidden = !here;
    if (here) $(`go-${name}`).setAttribute("aria-current", "page");
    else $(`go-${name}`).removeAttribute("aria-current");
  }
  if (which) inbox.open();
  else inbox.close();
  request();
}

function onEvent(event) {
  shown = event;
  table.update(event, wanted.campaign, select);
  $("pages").textContent = `${event.total.toLocaleString("en-US")} campaign${event.total === 1 ? "" : "s"} · page ${event.page} of ${event.pages}`;
  $("prev").disabled = event.page <= 1;
  $("next").disabled = event.page >= event.pages;
  fillTags(event.tags);
  showEmptyText(event);
  if (event.detail) panel.update(event.detail);
  // A create may be accepted but not carried out yet. Such a campaign is missing, not deleted.
  if (event.gone && $("panel-title")?.textContent !== "…") { toast("This campaign was deleted."); deselect(); }
  tick();
}

function showEmptyText(event) {
  const node = $("empty");
  const filtered = wanted.search || wanted.status || wanted.tag;
  node.hidden = event.total > 0;
  if (event.loading) node.textContent = event.sources.kafka.ok ? "Loading campaigns …" : "Waiting for Kafka. Campaigns appear when it is back.";
  else node.textContent = filtered ? "No campaigns match these filters." : "No campaigns yet. Choose “New campaign” to create the first.";
}

function fillTags(all) {
  const names = wanted.tag && !all.includes(wanted.tag) ? [wanted.tag, ...all] : all;
  const have = [...$("tag").options].slice(1).map((option) => option.value);
  if (JSON.stringify(have) === JSON.stringify(names)) return;
  $("tag").replaceChildren(el("option", { value: "" }, "All tags"), ...names.map((tag) => el("option", { value: tag }, tag)));
  $("tag").value = wanted.tag;
}

function select(id) {
  if (wanted.campaign === id) return;
  wanted.campaign = id;
  table.select(id);
  panel.open((action, data) => act(action, data, { onEdit: create.open, onCreated: select, onDeleted: deselect }), deselect);
  request();
}

function deselect() {
  const id = wanted.campaign;
  wanted.campaign = "";
  panel.close();
  table.select("");
  table.focusRow(id);
  request();
}

function tick() {
  showFreshness(table.tick());
  panel.tick();
}

function prepare() {
  legend($("legend"));
  $("status").append(el("option", { value: "" }, "All statuses"), ...STATUSES.map((status) => el("option", { value: status }, status)));
  readAddress();
  fillTags([]);
  for (const key of ["search", "status", "tag"]) $(key).value = wanted[key];
  let typing = 0;
  const changed = (key) => { wanted[key] = $(key).value; wanted.page = 1; request(); };
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => changed("search"), 200); });
  for (const key of ["status", "tag"]) $(key).addEventListener("change", () => changed(key));
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); changed("search"); });
  $("clear").addEventListener("click", () => { for (const key of ["search", "status", "tag"]) $(key).value = wanted[key] = ""; wanted.page = 1; request(); });
  $("prev").addEventListener("click", () => { wanted.page = shown.page - 1; request(); });
  $("next").addEventListener("click", () => { wanted.page = shown.page + 1; request(); });
  $("new").addEventListener("click", () => create.open());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && wanted.campaign && !document.querySelector("dialog[open]")) deselect(); });
  inbox.prepare();
  for (const [id, which] of [["go-campaigns", ""], ["go-replies", "replies"]]) $(id).addEventListener("click", (event) => { event.preventDefault(); showView(which); });
  create.prepare((id) => { if (wanted.campaign !== id) select(id); });
  if (wanted.view) showView(wanted.view);
  else if (wanted.campaign) { const id = wanted.campaign; wanted.campaign = ""; select(id); } else request();
  setInterval(tick, 1000);
  $("controls").disabled = false; // what is typed before somebody listens would be lost
}

prepare();
