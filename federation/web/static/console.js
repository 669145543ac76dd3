// The operators' console: puts its parts together. Each part is a module of its own.

import { charts, note } from "./charts.js";
import { choices, newer } from "./choices.js";
import { $, say, show } from "./dom.js";
import { Live } from "./live.js";
import { letTimePass, showMembers } from "./rows.js";
import { steerBy, steering } from "./steer.js";
import { tester } from "./tester.js";
import { BLIND, age, clock } from "./words.js";

const POINT = 5000; // ms between two points of a chart while nothing changes
const OLD = 20000; // ms without news until figures are called old, where nothing tells that nothing changed
let last = null; // what was told of the members, and when
let noted = Infinity; // when the chart got its last point
let stream = { live: false, at: 0, failures: 0 };

const live = new Live({
  members(told, at) {
    last = { told, at };
    const changes = showMembers(told, at);
    if (changes.length) say($("news"), changes.join(" "));
    blind(told.blind_since);
    steerBy(told);
    draw(told);
  },
  decision: newer,
  state(now) {
    stream = now;
    freshness();
  },
});

function draw(told) {
  noted = Date.now();
  note(told);
}

function blind(since) {
  show($("blind"), since !== null);
  if (since !== null) say($("blind"), `${BLIND} It is of ${clock(since)}.`);
}

function freshness() {
  const past = age((Date.now() - stream.at) / 1000);
  const old = stream.failures > 0 || (!stream.live && Date.now() - stream.at > OLD);
  show($("old"), old);
  if (old) say($("old"), stream.at ? `The front door does not answer. What is shown is of ${clock(stream.at / 1000)}.` : "The front door does not answer. Nothing is known yet.");
  if (stream.live) say($("freshness"), `Live: what changes is shown at once. Last news ${past} ago.`);
  else say($("freshness"), stream.at ? `Asked every 5 seconds, as the stream of news is broken. Last news ${past} ago.` : "Asking the front door…");
}

function letPass() {
  if (stream.live && Date.now() - noted > POINT) draw(last.told);
  if (last) letTimePass(last.told, last.at);
  freshness();
}

steering((sentence) => {
  say($("news"), sentence);
  live.ask();
});
charts();
choices();
tester();
live.start();
setInterval(letPass, 1000);
$("rows").addEventListener("toggle", letPass, true); // details that were opened are filled at once
