// Questions to the front door's HTTP API, and its refusals in words. Knows no page.

const LIMIT = 10000; // ms

/** A refusal of the front door; `status` is 0 when it could not be asked at all. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The body of the answer, and its ETag. Raises Refusal. */
export async function ask(path, { method = "GET", headers = {}, body } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
      signal: AbortSignal.timeout(LIMIT),
    });
  } catch {
    throw new Refusal(0, "The front door did not answer.");
  }
  if (!answer.ok) throw await refusal(answer);
  return { told: await answer.json(), etag: answer.headers.get("ETag") };
}

export async function refusal(answer) {
  const words = await answer.json().then((told) => told.message, () => "");
  if (answer.status === 401) return new Refusal(401, "You are not logged in any more. Reload this page to log in; what is saved stays saved.");
  return new Refusal(answer.status, words || `The front door answered ${answer.status}.`);
}

export function memberPath(name, more = "") {
  return `/federation/v1/members/${encodeURIComponent(name)}${more}`;
}
