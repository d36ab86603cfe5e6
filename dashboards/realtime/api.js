// Calls of the REST API. An error response becomes a `Refused` with the server's text and its list of fields.
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `The API answered with HTTP status ${status}.`);
    this.status = status;
    this.fields = body.fields ?? [];
  }
}

let csrf = "";
export const setCsrf = (token) => { csrf = token; };

export async function call(method, path, body, type = "application/json") {
  let answer;
  try {
    const headers = body === undefined ? {} : { "Content-Type": type };
    if (method !== "GET" && csrf) headers["Longwave-Csrf"] = csrf;
    answer = await fetch(path, { method, body, headers });
  } catch {
    throw new Refused(0, { error: "The API cannot be reached, so nothing was changed. Start the stack with longwave up, or try again." });
  }
  const value = await answer.json().catch(() => ({}));
  // The session is over: the page begins again, with the question for a key.
  if (answer.status === 401 && csrf) location.reload();
  if (!answer.ok) throw new Refused(answer.status, value);
  return value;
}

export const path = (id, rest = "") => `v1/campaigns/${encodeURIComponent(id)}${rest}`;
