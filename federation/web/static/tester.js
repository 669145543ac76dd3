// Sends one launch to one member and shows how it goes: what the member says, and the time by phase.

import { memberPath, refusal } from "./ask.js";
import { $, pairs, say, show } from "./dom.js";
import { seconds } from "./words.js";

const MOST = 200000; // characters of what a member says
const SAID = { ready: "was ready", failed: "failed", lost: "failed by the member’s own fault" };
let leaving = null;

export function tester() {
  $("test").addEventListener("submit", (event) => {
    event.preventDefault();
    run($("test-member").value, $("test-spec").value.trim());
  });
  $("test-stop").addEventListener("click", () => leaving?.abort());
}

async function run(name, spec) {
  if (leaving || !spec) return;
  leaving = new AbortController();
  busy(true);
  const log = $("test-log");
  log.textContent = "";
  show(log, true);
  pairs($("test-phases"), []);
  say($("test-now"), `Launching on ${name} …`);
  try {
    const query = new URLSearchParams({ spec });
    const answer = await fetch(memberPath(name, `/launch?${query}`), { signal: leaving.signal, cache: "no-store", headers: { Accept: "text/event-stream" } });
    if (!answer.ok) throw await refusal(answer);
    say($("test-now"), (await heard(answer, log, name)) ?? "The connection broke before the launch ended.");
  } catch (error) {
    const stopped = leaving.signal.aborted;
    say($("test-now"), stopped ? "Stopped. The member gives its launch up by itself." : (error.status ? error.message : "The connection to the front door broke."));
  } finally {
    leaving = null;
    busy(false);
  }
}

function busy(is) {
  const [start, stop] = [$("test-start"), $("test-stop")];
  const focused = [start, stop].includes(document.activeElement);
  start.disabled = is;
  show(stop, is);
  if (focused) (is ? stop : start).focus();
}

/** How it ended in a sentence, null when nobody said. */
async function heard(answer, log, name) {
  let phase = "";
  for await (const { type, told } of events(answer.body)) {
    if (type === "end") return ended(told, name);
    if (told.phase && told.phase !== phase) {
      phase = told.phase;
      say($("test-now"), `${name}: ${phase} …`);
    }
    if (log.textContent.length < MOST) log.append(told.message ?? "");
  }
  return null;
}

function ended(told, name) {
  pairs($("test-phases"), told.phases.map(({ phase, seconds: length }) => [phase, seconds(length)]));
  const why = told.outcome === "ready" ? " Its session is asked to end itself." : ` ${told.why}.`;
  return `The launch ${SAID[told.outcome] ?? told.outcome} on ${name} after ${seconds(told.seconds)}.${why}`;
}

async function* events(body) {
  let rest = "";
  for await (const piece of pieces(body)) {
    const frames = (rest + piece).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const type = /^event: (.*)$/m.exec(frame)?.[1] ?? "message";
      const data = /^data: (.*)$/m.exec(frame)?.[1];
      if (data) yield { type, told: JSON.parse(data) };
    }
  }
}

async function* pieces(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
