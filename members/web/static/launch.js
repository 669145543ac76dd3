// The launch page of one member: follows the launch that its own address names, then opens the server.

import { follow } from "./stream.js";
import { serverTarget, UnsafeTarget } from "./target.js";

const $ = (id) => document.getElementById(id);
const { baseUrl, buildToken } = window.pageConfig;
const STEPS = [...document.querySelectorAll("#steps li")];
const PHASES = { waiting: 0, fetching: 1, building: 1, pushing: 1, built: 2, launching: 2, ready: 3 };
const SAID = ["Waiting for the build to begin…", "Building the environment…", "Starting your server…", "Ready."];
const LONGEST_LOG = 400_000; // characters that stay on the page

const leaving = new AbortController();
let stage = 0;

function reach(next) {
  stage = Math.max(stage, next);
  STEPS.forEach((step, i) => {
    if (i < stage || stage === 3) step.dataset.state = "done";
    else if (i === stage) step.dataset.state = "now";
  });
  $("now").textContent = SAID[stage];
}

function write(text) {
  const log = $("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  log.append(text.replace(/\r\n?/g, "\n"));
  if (log.textContent.length > LONGEST_LOG) log.textContent = log.textContent.slice(-LONGEST_LOG / 2);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function ready(event) {
  const [url, token] = [String(event.url ?? ""), String(event.token ?? "")];
  const query = new URLSearchParams(location.search);
  const asked = Object.fromEntries(["urlpath", "labpath", "filepath"].map((key) => [key, query.get(key) ?? ""]));
  let target;
  let refused = "";
  try {
    target = serverTarget(url, token, asked);
  } catch (error) {
    if (!(error instanceof UnsafeTarget)) throw error;
    refused = error.message;
    try {
      target = serverTarget(url, token);
    } catch {
      return failed({ message: "The server's address cannot be opened." });
    }
  }
  reach(3);
  if (refused) {
    $("note").textContent = `The link asks for a page outside the notebook server (${refused}). Its start page opens instead.`;
    $("note").hidden = false;
  }
  $("open").href = target;
  $("open").hidden = false;
  $("end").classList.add("good");
  end("Your server is ready");
  setTimeout(() => location.replace(target), refused ? 4000 : 0); // time to read why it is another page
}

function failed({ message }, title = "This launch failed") {
  STEPS[stage].dataset.state = "failed";
  $("now").textContent = title + ".";
  $("end-message").textContent = String(message ?? "").trim() || "The log tells more.";
  $("end-message").hidden = false;
  $("retry").hidden = false;
  end(title);
  $("end-title").focus({ preventScroll: true });
}

function end(title) {
  $("end-title").textContent = title;
  $("end").hidden = false;
  document.title = `${title} – ${document.title}`;
}

/** The launch that this page's address names, character by character: its token is good for no other. */
function buildUrl() {
  const path = location.pathname.slice(baseUrl.length + "v2/".length);
  return `${baseUrl}build/${path}${buildToken ? `?build_token=${encodeURIComponent(buildToken)}` : ""}`;
}

async function run() {
  reach(0);
  for await (const event of follow(buildUrl(), `launch ${location.pathname}`, { signal: leaving.signal })) {
    if (event.phase === "lost") return failed({ message: "The member cannot be reached." }, "The connection broke");
    if (event.message && event.phase !== "ready") write(String(event.message).replace(/\n*$/, "\n"));
    if (event.phase === "ready") return ready(event);
    if (event.phase === "failed" || event.phase === "failure") return failed(event);
    if (event.phase in PHASES) reach(PHASES[event.phase]);
  }
}

$("retry").addEventListener("click", () => location.reload());
addEventListener("pagehide", () => leaving.abort());
addEventListener("pageshow", (event) => event.persisted && location.reload());
run();
