// One launch as a sequence of events, read from the member's event stream. Knows no page.
//
// A stream that breaks before its end is taken up again where it was, if the member gave its events ids: then no
// second build and no second server begins. Otherwise, or when that fails too often, it yields a `lost` event.

const DELAYS = [1, 2, 4, 8]; // seconds before each new connection
const SILENCE = 75; // seconds; a living stream says something every 25
const END = new Set(["ready", "failed", "failure"]);

export async function* follow(url, { signal, delays = DELAYS } = {}) {
  let last = "";
  for (let breaks = 0; ; breaks++) {
    try {
      for await (const { id, event } of events(url, last, signal)) {
        if (id) [last, breaks] = [id, 0];
        yield event;
        if (END.has(event.phase)) return;
      }
    } catch {
      if (signal?.aborted) return;
    }
    if (!last || breaks >= delays.length) break;
    await new Promise((resolve) => setTimeout(resolve, delays[breaks] * 1000));
  }
  yield { phase: "lost" };
}

async function* events(url, last, signal) {
  const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
  const response = await fetch(url, { signal, headers, cache: "no-store" });
  if (!response.ok) throw new Error(`the member answered ${response.status}`);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let id = "";
  try {
    for (;;) {
      const { done, value } = await within(SILENCE, reader.read());
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("id:")) id = line.slice(3).trim();
        else if (line.startsWith("data:")) yield { id, event: meaning(line.slice(5)) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function within(seconds, promise) {
  let timer;
  const silent = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("nothing was heard for too long")), seconds * 1000);
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
    return { ...event, phase: String(event.phase ?? "").toLowerCase() };
  } catch {
    return { phase: "unknown", message: data + "\n" }; // what is no JSON is still a line of the log
  }
}
