// One launch as a sequence of events, read from the front door's event stream. Knows no page.
//
// Besides the members' events it yields two of its own: `reconnecting` ({attempt, of, seconds, reason}) when the
// connection broke before the end, and `lost` when it did so too often. A launch whose events have ids goes on
// where it was; one that the tab remembers is told from its beginning.

import { Place } from "./place.js";

export const DELAYS = [1, 2, 4, 8, 8]; // seconds before each new connection
const SILENCE = 75; // seconds; a living stream says something every 25
const STEADY = 30; // seconds; a connection that held for so long starts the count of breaks anew
const MOST_BREAKS = 20; // in one launch, whatever happens
const LONGEST_EVENT = 1 << 20; // characters
const TRIES_ELSEWHERE = 2; // in a row, at a member itself; then the front door finds another one

const END = new Set(["ready", "failed", "failure"]);

class Broken extends Error {}

export async function* follow(url, { signal, delays = DELAYS, silence = SILENCE, place = new Place(url) } = {}) {
  let breaks = 0;
  let vain = 0; // connections in a row that brought nothing
  for (let total = 0; total < MOST_BREAKS; total++) {
    const began = performance.now();
    let reason;
    try {
      vain += 1;
      for await (const event of events(place, signal, silence)) {
        vain = 0;
        if (END.has(event.phase)) place.forget();
        yield event;
        if (END.has(event.phase)) return;
      }
      reason = "the connection ended before the launch did";
    } catch (error) {
      if (signal?.aborted) return;
      reason = error instanceof Broken ? error.message : "the connection to the front door broke";
    }
    if (place.elsewhere && vain >= TRIES_ELSEWHERE) place.forget();
    if (performance.now() - began > STEADY * 1000) breaks = 0;
    if (breaks >= delays.length) break;
    const seconds = delays[breaks++];
    yield { phase: "reconnecting", attempt: breaks, of: delays.length, seconds, reason };
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (signal?.aborted) return;
  }
  yield { phase: "lost" };
}

async function* events(place, signal, silence) {
  const headers = { Accept: "text/event-stream", ...place.headers };
  const response = await fetch(place.address, { signal, headers, cache: "no-store" });
  const address = response.redirected ? response.url : place.address;
  if (response.status >= 400 && response.status < 500 && response.status !== 429) {
    const message = `The front door refused this launch: ${response.status} ${response.statusText}\n`;
    yield { phase: "failed", status_code: response.status, message };
    return;
  }
  if (response.status === 204) place.forget(); // it ended, and we should have heard how
  if (!response.ok) throw new Broken(`the front door answered ${response.status}`);
  if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
    throw new Broken("what came was no event stream");
  }
  const reader = response.body.getReader();
  try {
    for await (const { id, data } of frames(reader, silence)) {
      place.reached(id, address);
      yield meaning(data);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The data of each frame, and the id that holds for it. Comments and other fields carry nothing here. */
async function* frames(reader, silence) {
  const decoder = new TextDecoder();
  let rest = "";
  let id = "";
  let data = [];
  let size = 0;
  for (;;) {
    const { done, value } = await within(silence, reader.read());
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?=[^])/); // a CR at the very end may be half of a CRLF
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      else if (line === "" && data.length) {
        yield { id, data: data.join("\n") };
        data = [];
        size = 0;
      } else if (line.startsWith("id:")) id = line.slice(line[3] === " " ? 4 : 3);
      size += line.length;
    }
    if (rest.length + (data.length ? size : 0) > LONGEST_EVENT) throw new Broken("an event had no end");
  }
}

async function within(seconds, promise) {
  let timer;
  const silent = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Broken("nothing was heard for too long")), seconds * 1000);
  });
  try {
    return await Promise.race([promise, silent]);
  } finally {
    clearTimeout(timer);
  }
}

function meaning(data) {
  try {
    const event = JSON.parse(data);
    if (event && typeof event === "object") return { ...event, phase: String(event.phase ?? "").toLowerCase() };
  } catch {
    // falls through: what is no JSON is still a line of the log
  }
  return { phase: "unknown", message: data + "\n" };
}
