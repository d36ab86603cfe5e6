// The page: what is asked of the server (filter, chosen campaign) is in the address, so that a reload keeps it.
import { act } from "./actions.js";
import { legend } from "./bar.js";
import * as create from "./create.js";
import { $, el, toast } from "./dom.js";
import * as inbox from "./inbox.js";
import { listen, tellFreshness } from "./live.js";
import * as panel from "./panel.js";
import { STATUSES } from "./states.js";
import * as table from "./table.js";

const asked = { search: "", status: "", tag: "", page: 1, campaign: "", view: "" };
let shown = { total: 0, pages: 1 };

function readAddress() {
  const query = new URLSearchParams(location.hash.slice(1));
  for (const key of ["search", "status", "tag", "campaign"]) asked[key] = query.get(key) ?? "";
  asked.view = query.get("view") === "replies" ? "replies" : "";
  if (!STATUSES.includes(asked.status)) asked.status = "";
  asked.page = Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1);
}

function ask() {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(asked)) if (value && !(key === "page" && value === 1)) query.set(key, value);
  history.replaceState(null, "", query.size ? `#${query}` : location.pathname);
  query.delete("view");
  listen(query, heard);
}

// Campaigns, or replies beside which no campaign is open; the stream goes on, for it says how fresh the page is.
function view(which) {
  asked.view = which;
  if (which && asked.campaign) unchoose();
  for (const name of ["campaigns", "replies"]) {
    const here = name === (which || "campaigns");
    $(`view-${name}`).hidden = !here;
    if (here) $(`go-${name}`).setAttribute("aria-current", "page");
    else $(`go-${name}`).removeAttribute("aria-current");
  }
  if (which) inbox.open();
  else inbox.close();
  ask();
}

function heard(event) {
  shown = event;
  table.update(event, asked.campaign, choose);
  $("pages").textContent = `${event.total.toLocaleString("en-US")} campaign${event.total === 1 ? "" : "s"} · page ${event.page} of ${event.pages}`;
  $("prev").disabled = event.page <= 1;
  $("next").disabled = event.page >= event.pages;
  tags(event.tags);
  tellEmpty(event);
  if (event.detail) panel.update(event.detail);
  // A command may have been accepted and not yet carried out: a campaign just created is not gone.
  if (event.gone && $("panel-title")?.textContent !== "…") { toast("This campaign was deleted."); unchoose(); }
  tick();
}

function tellEmpty(event) {
  const node = $("empty");
  const filtered = asked.search || asked.status || asked.tag;
  node.hidden = event.total > 0;
  if (event.loading) node.textContent = event.sources.kafka.ok ? "Reading the campaigns from Kafka …" : "Waiting for Kafka …";
  else node.textContent = filtered ? "No campaign matches. Clear shows all." : "No campaigns yet. “New campaign” makes the first one.";
}

function tags(all) {
  const wanted = asked.tag && !all.includes(asked.tag) ? [asked.tag, ...all] : all;
  const have = [...$("tag").options].slice(1).map((option) => option.value);
  if (JSON.stringify(have) === JSON.stringify(wanted)) return;
  $("tag").replaceChildren(el("option", { value: "" }, "All tags"), ...wanted.map((tag) => el("option", { value: tag }, tag)));
  $("tag").value = asked.tag;
}

function choose(id) {
  if (asked.campaign === id) return;
  asked.campaign = id;
  table.choose(id);
  panel.open((action, data) => act(action, data, { onEdit: create.open, onCreated: choose, onDeleted: unchoose }), unchoose);
  ask();
}

function unchoose() {
  const id = asked.campaign;
  asked.campaign = "";
  panel.close();
  table.choose("");
  table.focusRow(id);
  ask();
}

function tick() {
  tellFreshness(table.tick());
  panel.tick();
}

function prepare() {
  legend($("legend"));
  $("status").append(el("option", { value: "" }, "All statuses"), ...STATUSES.map((status) => el("option", { value: status }, status)));
  readAddress();
  tags([]);
  for (const key of ["search", "status", "tag"]) $(key).value = asked[key];
  let typing = 0;
  const changed = (key) => { asked[key] = $(key).value; asked.page = 1; ask(); };
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => changed("search"), 200); });
  for (const key of ["status", "tag"]) $(key).addEventListener("change", () => changed(key));
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); changed("search"); });
  $("clear").addEventListener("click", () => { for (const key of ["search", "status", "tag"]) $(key).value = asked[key] = ""; asked.page = 1; ask(); });
  $("prev").addEventListener("click", () => { asked.page = shown.page - 1; ask(); });
  $("next").addEventListener("click", () => { asked.page = shown.page + 1; ask(); });
  $("new").addEventListener("click", () => create.open());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && asked.campaign && !document.querySelector("dialog[open]")) unchoose(); });
  inbox.prepare();
  for (const [id, which] of [["go-campaigns", ""], ["go-replies", "replies"]]) $(id).addEventListener("click", (event) => { event.preventDefault(); view(which); });
  create.prepare((id) => { if (asked.campaign !== id) choose(id); });
  if (asked.view) view(asked.view);
  else if (asked.campaign) { const id = asked.campaign; asked.campaign = ""; choose(id); } else ask();
  setInterval(tick, 1000);
}

prepare();
