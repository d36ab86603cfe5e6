// The states of a recipient in the order in which the bar shows them, the statuses, and the reasons: as the API has them.
import { call } from "./api.js";

const vocabulary = await call("GET", "v1/vocabulary");
export const STATES = vocabulary.states.map(({ name, label }) => [name, label]);
export const STATUSES = vocabulary.statuses;
export const CHANGING = new Set(vocabulary.changing_statuses); // statuses in which figures must not be old
const MEANING = new Map(vocabulary.states.map(({ name, meaning }) => [name, meaning]));
export const meaning = (state) => MEANING.get(state) ?? "";

const REASONS = new Map(vocabulary.reasons.map((reason) => [reason.name, reason]));
// A stored reason is NAME or NAME:DETAIL.
export function inWords(stored) {
  const colon = stored.indexOf(":");
  const [name, detail] = colon < 0 ? [stored, ""] : [stored.slice(0, colon), stored.slice(colon + 1)];
  return REASONS.get(name)?.sentence.replace("{detail}", () => detail) ?? stored;
}
export const remedy = (stored) => REASONS.get(stored.split(":", 1)[0])?.todo ?? "";
