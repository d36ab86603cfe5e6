// The form that creates a campaign or edits a draft, as fields or as a TOML file.
import { call, path } from "./api.js";
import { $, el, toast } from "./dom.js";

const EXAMPLE = `name = "Flash sale"
tags = ["sale"]
opt_out_language = "Reply STOP to opt out"

[audience]
lists = ["demo"]

[[messages]]
text = "Hi {first_name|there}, 20% off until midnight: {link}"
links = { default = "https://shop.example/sale" }
`;
let editing = null;
let onCreated = () => {};

export function prepare(created) {
  onCreated = created;
  $("f-toml").value = EXAMPLE;
  for (const which of ["fields", "toml"]) $(`tab-${which}`).addEventListener("click", () => tab(which));
  document.querySelector(".tabs").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    tab(isToml() ? "fields" : "toml");
    $(isToml() ? "tab-toml" : "tab-fields").focus();
  });
  $("f-when").addEventListener("change", when);
  for (const id of ["create-close", "create-cancel"]) $(id).addEventListener("click", () => $("create").close());
  $("create-form").addEventListener("submit", (event) => { event.preventDefault(); save(); });
}

export function open(data = null) {
  editing = data;
  $("create-title").textContent = data ? `Edit “${data.name}”` : "New campaign";
  $("create-form").querySelector("[type=submit]").textContent = data ? "Save" : "Create draft";
  $("tab-toml").hidden = data !== null;
  tab("fields");
  if (data) fillIn(data.spec);
  else $("create-form").reset();
  when();
  if (!data) $("f-toml").value = EXAMPLE;
  showErrors("", []);
  $("create").showModal();
  $("f-name").focus();
}

const isToml = () => $("tab-toml").getAttribute("aria-selected") === "true";

function tab(which) {
  for (const panel of ["fields", "toml"]) {
    $(`tab-${panel}`).setAttribute("aria-selected", String(panel === which));
    $(`tab-${panel}`).tabIndex = panel === which ? 0 : -1;
    $(`as-${panel}`).hidden = panel !== which;
  }
}

// Show the fields that the chosen send time needs.
function when() {
  const how = $("f-when").value;
  $("l-sendat").hidden = how === "now";
  $("l-passed").hidden = how !== "local";
  $("f-sendat-clock").textContent = how === "local" ? "recipient’s local time" : "store time";
}

const asList = (id) => $(id).value.split(/[,;\n]/).map((word) => word.trim()).filter(Boolean);
const asLocal = (iso) => (iso ? iso.slice(0, 16) : "");

function fillIn(spec) {
  const message = spec.messages[0] ?? { text: "", links: {} };
  const values = { "f-name": spec.name, "f-tags": spec.tags.join(", "), "f-account": spec.account, "f-sender": spec.sender, "f-lists": spec.audience.lists.join(", "), "f-numbers": spec.audience.numbers.join(", "), "f-text": message.text, "f-link": message.links.default ?? "", "f-optout": spec.opt_out_language, "f-when": spec.local_time ? "local" : spec.send_at ? "store" : "now", "f-sendat": asLocal(spec.send_at), "f-passed": spec.if_passed, "f-deadline": asLocal(spec.deadline), "f-smart": spec.smart_sending_hours, "f-priority": spec.priority };
  for (const [id, value] of Object.entries(values)) $(id).value = value;
}

// An edited draft keeps what the form has no field for. A time that was not changed keeps its offset.
function fromFields() {
  const before = editing?.spec ?? {};
  const links = { ...(before.messages?.[0]?.links ?? {}) };
  delete links.default;
  if ($("f-link").value.trim()) links.default = $("f-link").value.trim();
  const how = $("f-when").value;
  const time = (id, old) => ($(id).value === asLocal(old) ? old ?? null : $(id).value || null);
  return {
    ...before, name: $("f-name").value, tags: asList("f-tags"), account: $("f-account").value, sender: $("f-sender").value,
    audience: { lists: asList("f-lists"), numbers: asList("f-numbers") }, messages: [{ text: $("f-text").value, links }],
    opt_out_language: $("f-optout").value, send_at: how === "now" ? null : sendAt(how, time("f-sendat", before.send_at)),
    local_time: how === "local", if_passed: $("f-passed").value, deadline: time("f-deadline", before.deadline),
    smart_sending_hours: Number($("f-smart").value), priority: $("f-priority").value,
  };
}

// A recipient's asLocal time has no offset. Store time keeps the offset that it was written with.
const sendAt = (how, at) => (how === "local" && at ? at.slice(0, 16) : at);

async function save() {
  if (!isToml() && $("f-when").value !== "now" && !$("f-sendat").value) return showErrors("", [{ field: "send_at", error: "Choose a send time." }]);
  const submit = $("create-form").querySelector("[type=submit]");
  submit.disabled = true;
  try {
    const [body, type] = isToml() ? [$("f-toml").value, "application/toml"] : [JSON.stringify(fromFields()), "application/json"];
    const answer = await call(editing ? "PUT" : "POST", editing ? path(editing.id) : "v1/campaigns", body, type);
    $("create").close();
    toast(answer.carried_out === false ? answer.message : `${answer.name}: ${editing ? "saved" : "draft created"}`);
    return onCreated(answer.id);
  } catch (error) {
    return showErrors(error.message, error.fields ?? []);
  } finally {
    submit.disabled = false;
  }
}

// Show each error beside its field. Errors without a field, and all errors of a TOML file, are shown below.
function showErrors(text, fields) {
  for (const old of document.querySelectorAll("#create .fault")) old.remove();
  for (const label of document.querySelectorAll("#create label.wrong")) label.classList.remove("wrong");
  const rest = [];
  for (const { field, error } of fields) {
    const label = isToml() ? null : [...document.querySelectorAll("#create [data-field]")].find((l) => field === l.dataset.field || field.startsWith(`${l.dataset.field}.`));
    if (label) {
      label.classList.add("wrong");
      label.append(el("span", { class: "fault" }, error));
    } else rest.push(field ? `${field}: ${error}` : error);
  }
  const shown = fields.length ? rest.join("\n") : text;
  $("create-errors").textContent = shown;
  $("create-errors").hidden = !shown;
  document.querySelector("#create label.wrong :is(input, textarea, select)")?.focus();
}
