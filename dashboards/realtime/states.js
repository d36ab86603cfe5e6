// The states of a recipient, in the order in which the bar shows them: final states first, waiting states last.
export const STATES = [
  ["delivered", "Delivered"], ["accepted", "Accepted"], ["undelivered", "Undelivered"], ["rejected", "Rejected"],
  ["unknown", "Unknown"], ["skipped", "Skipped"], ["expired", "Expired"], ["canceled", "Canceled"],
  ["in_flight", "In flight"], ["queued", "Queued"], ["delayed", "Delayed"], ["pending", "Pending"],
];
export const STATUSES = ["draft", "scheduled", "processing", "sending", "sent", "finished", "paused", "suspended", "canceled", "failed"];
const MEANING = {
  delivered: "The carrier confirmed delivery.", accepted: "The aggregator took the message. No receipt has come yet.",
  undelivered: "The carrier could not deliver the message.", rejected: "The aggregator refused the message.",
  unknown: "A process stopped or no answer came while the message was being submitted. It may have been sent. It is not sent again.", skipped: "The rules do not allow a message to this recipient.",
  expired: "The deadline passed, or the message would have been too late after a downtime.", canceled: "The campaign was canceled before the message was submitted.", in_flight: "The message is being submitted now.",
  queued: "The message is due and waits for the sender’s limit.", delayed: "The message waits for its send time.", pending: "No decision has been made yet.",
};
export const meaning = (state) => MEANING[state] ?? "";
