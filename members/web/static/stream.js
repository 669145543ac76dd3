// One launch as a sequence of events, read from the member's event stream. Knows no page.
//
// A stream that breaks before its end is taken up again where it was, and a refreshed page hears its launch from the
// beginning: events have ids, so no second build and no second server begins. When the connection breaks too often
// it yields a `lost` event.

const DELAYS = [1, 2, 4, 8]; // seconds before each new connection
const MOST_BREAKS = 20; // in one launch, however much each connection brought
const SILENCE = 75; // seconds; a living stream says something every 25
const END = new Set(["ready", "failed", "failure"]);

/** `name` is what this tab remembers the launch by. */
export async function* follow(url, name, { signal, delays = DELAYS } = {}) {
  let last = remembered(name);
  for (let breaks = 0, total = 0; total < MOST_BREAKS; breaks++, total++) {
    const asked = last;
    try {
      for await (const { id, event } of events(url, last, signal)) {
        if (id) [last, breaks] = [id, 0];
        remember(name, END.has(event.phase) ? "" : last);
        yield event;
        if (END.has(event.phase)) return;
      }
      if (last === asked) last = ""; // it had nothing to add: what is remembered is no use
    } catch {
      if (signal?.aborted) return;
    }
    if (breaks >= delays.length) break;
    await new Promise((resolve) => setTimeout(resolve, delays[breaks] * 1000));
  }
  yield { phase: "lost" };
}

/** The id before the first event of the launch that this tab follows; empty when it follows none. */
function remembered(name) {
  try {
    const launch = sessionStorage.getItem(name);
    return launch ? `${launch}.0` : "";
  } catch {
    return ""; // a browser that keeps nothing: a refresh begins a new launch
  }
}

function remember(name, id) {
  try {
    const launch = id.split(".")[0];
    if (!launch) sessionStorage.removeItem(name);
    else if (sessionStorage.getItem(name) !== launch) sessionStorage.setItem(name, launch);
  } catch {
    // as above
  }
}

async function* events(url, last, signal) {
  const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
  const response = await fetch(url, { signal, headers, cache: "no-store" });
  if (response.status === 204) return; // that launch has been told to its end
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
