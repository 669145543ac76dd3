// The launch page: follows one launch and sends the visitor to the notebook, or says what failed.

import { advice } from "./advice.js";
import { copy } from "./copy.js";
import { LogView } from "./log.js";
import { follow } from "./stream.js";
import { serverTarget, UnsafeTarget } from "./target.js";

const $ = (id) => document.getElementById(id);
const page = $("launch");
const STEPS = [...document.querySelectorAll("#steps li")];
const ORDER = STEPS.map((step) => step.dataset.step);
const PHASES = { waiting: 0, fetching: 1, building: 1, pushing: 2, launching: 3, ready: 4 };
const SAID = {
  waiting: "Waiting for a member to begin",
  building: "Building the environment",
  pushing: "Storing the image",
  launching: "Starting your server",
};
const STATES = { done: ", done", now: ", in progress", skipped: ", not needed", failed: ", failed" };

const log = new LogView({ box: $("log"), lines: $("log-lines"), dropped: $("log-dropped"), follow: $("log-follow") });
const began = performance.now();
const leaving = new AbortController();
let stage = 0;
let member = "";
let waits = false; // in line, as no member has a seat
let lastMessage = "";
let clock;

function say(text) {
  if ($("now").textContent !== text) $("now").textContent = text;
}

function face(state, title) {
  document.title = `${title} – ${page.dataset.name} – ${page.dataset.site}`;
  document.querySelector('link[rel="icon"]').href = page.getAttribute(`data-icon-${state}`);
}

function mark(step, state) {
  step.dataset.state = state;
  step.querySelector(".state").textContent = STATES[state] ?? "";
  if (state === "now") step.setAttribute("aria-current", "step");
  else step.removeAttribute("aria-current");
}

function reach(next) {
  const skipped = stage === 0 && next > 2; // the image was there: nothing was built or stored
  STEPS.forEach((step, i) => {
    if (i > next) mark(step, "");
    else if (i === next) mark(step, "now");
    else if (i > 0 && skipped) mark(step, "skipped");
    else if (step.dataset.state !== "skipped") mark(step, "done");
  });
  stage = next;
  const phase = ORDER[next];
  if (SAID[phase]) say(`${SAID[phase]}${member ? ` on ${member}` : ""}…`);
  if (phase !== "ready") face("building", SAID[phase]);
}

/** The place in line. It changes often, so the status line and the title tell it, and the log only that it began. */
function inLine(event) {
  const said = String(event.message ?? "").trim();
  if (!waits) {
    waits = true;
    member = "";
    leave($("attempts").lastElementChild);
    for (const step of STEPS) mark(step, "");
    mark(STEPS[0], "now");
    stage = 0;
    log.mark(`--- ${said} ---`);
  }
  say(said);
  face("building", event.of > 0 ? `Place ${event.position} of ${event.of}` : `Place ${event.position}`);
}

/** The front door's own event: which member has the launch now, and why. */
function attempt(event) {
  const said = String(event.message ?? "").trim();
  const list = $("attempts");
  if (event.attempt === 1) list.replaceChildren(); // a new stream tells the whole story again
  const before = list.lastElementChild;
  leave(before);
  const item = document.createElement("li");
  const symbol = document.createElement("span");
  symbol.className = "symbol";
  symbol.ariaHidden = "true";
  symbol.textContent = "→";
  item.append(symbol, named(String(event.member), said));
  list.append(item);
  $("route").hidden = false;
  if (before) log.mark(`--- ${said} ---`);
  waits = false;
  member = String(event.member);
  for (const step of STEPS) mark(step, "");
  reach(0);
  if (before) say(said);
}

function leave(item) {
  if (!item) return;
  item.className = "left";
  item.querySelector(".symbol").textContent = "✗";
}

/** A sentence with the member's name in bold, put in front if the sentence does not hold it. */
function named(name, sentence) {
  const at = sentence.lastIndexOf(name);
  const words = document.createElement("span");
  const strong = document.createElement("strong");
  strong.textContent = name;
  if (at < 0) words.append(strong, ` – ${sentence}`);
  else words.append(sentence.slice(0, at), strong, sentence.slice(at + name.length));
  return words;
}

function take(event) {
  const message = typeof event.message === "string" ? event.message : "";
  if (event.phase === "reconnecting") return reconnecting(event);
  if (event.phase === "waiting" && event.member) return attempt(event);
  if (event.phase === "waiting" && event.position > 0) return inLine(event);
  if (message) {
    log.write(message.endsWith("\n") || event.phase === "building" ? message : message + "\n");
    lastMessage = message.trim() || lastMessage;
  }
  if (event.phase === "built") return reach(Math.max(stage, 3));
  const next = PHASES[event.phase];
  if (next !== undefined && next > stage) reach(next);
  else if (next === stage && !STEPS[stage].dataset.state) reach(stage);
}

function reconnecting({ attempt, of, seconds, reason }) {
  log.mark(`--- ${reason}; connecting again (${attempt} of ${of}) ---`);
  say(`Lost touch: ${reason}. Connecting again in ${seconds} s, attempt ${attempt} of ${of}.`);
}

function ready(event) {
  const asked = Object.fromEntries(
    ["urlpath", "labpath", "filepath"].map((key) => [key, new URLSearchParams(location.search).get(key) ?? ""]),
  );
  const [url, token] = [String(event.url ?? ""), String(event.token ?? "")];
  let target;
  let refused = !!$("refused");
  try {
    target = serverTarget(url, token, refused ? {} : asked);
  } catch (error) {
    if (!(error instanceof UnsafeTarget)) throw error;
    try {
      target = serverTarget(url, token);
      refused = true;
    } catch {
      return failed({ message: "The member answered with an address that cannot be opened." });
    }
  }
  reach(4);
  mark(STEPS[4], "done");
  face("success", "Ready");
  say(refused ? "Ready. The server’s start page opens in a moment." : "Ready. Opening the notebook…");
  $("open").href = target;
  ending("good", refused ? "Your server is ready" : "Opening the notebook", "", "", ["open"]);
  setTimeout(() => location.replace(target), refused ? 4000 : 0); // time to read why it is another page
}

function failed(event) {
  const building = stage === 1;
  mark(STEPS[stage], "failed");
  leave($("attempts").lastElementChild);
  face("fail", "Failed");
  const message = String(event.message ?? "").trim() || lastMessage || "The member gave no reason.";
  say(`The launch failed${member ? ` on ${member}` : ""}.`);
  ending("", "This launch failed", message, advice({ ...event, message }, building), ["retry", "change", "members"]);
  $("end-title").focus({ preventScroll: true });
}

function lost() {
  mark(STEPS[stage], "failed");
  face("fail", "Lost touch");
  say("The connection to the front door could not be kept.");
  const text = "The launch may still go on, but this page cannot follow it. Check your network, then try again.";
  ending("", "Lost touch with this launch", "", text, ["retry", "members"]);
  $("end-title").focus({ preventScroll: true });
}

function ending(tone, title, message, text, actions) {
  clearInterval(clock);
  $("end").classList.add(tone || "bad-end");
  $("end-title").textContent = title;
  $("end-message").textContent = message;
  $("end-message").hidden = !message;
  $("end-advice").textContent = text;
  $("end-advice").hidden = !text;
  for (const id of actions) $(id).hidden = false;
  $("end").hidden = false;
}

function tick() {
  const seconds = Math.floor((performance.now() - began) / 1000);
  $("elapsed").textContent = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

async function run() {
  clock = setInterval(tick, 1000);
  reach(0);
  for await (const event of follow(page.dataset.build, { signal: leaving.signal })) {
    if (event.phase === "lost") return lost();
    take(event);
    if (event.phase === "ready") return ready(event);
    if (event.phase === "failed" || event.phase === "failure") return failed(event);
  }
}

$("retry").addEventListener("click", () => location.reload());
document.querySelector("[data-copy-log]").addEventListener("click", (event) => copy(log.text(), event.currentTarget));
addEventListener("pagehide", () => leaving.abort());
addEventListener("pageshow", (event) => event.persisted && location.reload());
run();
