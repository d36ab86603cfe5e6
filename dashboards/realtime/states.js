// The states of the conservation accounting in the order in which the bar shows them: settled first, waiting last.
export const STATES = [
  ["delivered", "Delivered"], ["accepted", "Accepted"], ["undelivered", "Undelivered"], ["rejected", "Rejected"],
  ["unknown", "Unknown"], ["skipped", "Skipped"], ["expired", "Expired"], ["canceled", "Canceled"],
  ["in_flight", "In flight"], ["queued", "Queued"], ["delayed", "Delayed"], ["pending", "Pending"],
];
export const STATUSES = ["draft", "scheduled", "processing", "sending", "sent", "finished", "paused", "suspended", "canceled", "failed"];
const MEANING = {
  delivered: "the carrier confirmed it", accepted: "handed to the aggregator, no receipt yet",
  undelivered: "the carrier could not deliver it", rejected: "the aggregator refused it",
  unknown: "a process died while it was being handed over: not sent again", skipped: "may not or should not be sent to",
  expired: "past the deadline, or too late because machines were down", canceled: "the campaign was canceled before it went out", in_flight: "being handed over now",
  queued: "due, waiting for the sender's limit", delayed: "waiting for its time", pending: "not looked at yet",
};
export const meaning = (state) => MEANING[state] ?? "";
