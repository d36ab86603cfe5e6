// Calls of the REST API; a refusal becomes an error with the server's text and its list of fields.
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `the API answered ${status}`);
    this.fields = body.fields ?? [];
  }
}

export async function call(method, path, body, type = "application/json") {
  let answer;
  try {
    answer = await fetch(path, { method, body, headers: body === undefined ? {} : { "Content-Type": type } });
  } catch {
    throw new Refused(0, { error: "the API cannot be reached; is the stack up? (longwave up)" });
  }
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, value);
  return value;
}

export const path = (id, rest = "") => `v1/campaigns/${encodeURIComponent(id)}${rest}`;
