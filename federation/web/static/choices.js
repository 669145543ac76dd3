// The latest launches and why they went where they went, filtered as asked. Changes nothing.

import { ask } from "./ask.js";
import { $, Slots, list, make, say, show } from "./dom.js";
import { clock, figure, seconds } from "./words.js";

const MOST = 25;
const PAUSE = 1000; // ms between two questions, however many launches there are
const SYMBOLS = { ready: ["●", "good"], failed: ["▲", "bad"], abandoned: ["■", "off"], redirected: ["◆", "off"], under_way: ["◔", "warn"] };
let asked = 0;
let waiting = null;

export function choices() {
  const form = $("decisions-filter");
  form.addEventListener("input", () => newer());
  form.addEventListener("submit", (event) => event.preventDefault());
  newer();
}

/** Something was decided: asks for it, soon. */
export function newer() {
  waiting ??= setTimeout(async () => {
    waiting = null;
    asked = Date.now();
    await refresh();
  }, Math.max(0, asked + PAUSE - Date.now()));
}

async function refresh() {
  const query = new URLSearchParams([...new FormData($("decisions-filter"))].filter(([, value]) => value.trim()));
  query.set("limit", MOST);
  try {
    const { told } = await ask(`/federation/v1/decisions?${query}`);
    list($("decisions"), told.decisions, (one) => one.id, create, update);
    say($("decisions-none"), "No launch is remembered that fits.");
    show($("decisions-none"), told.decisions.length === 0);
  } catch (error) {
    say($("decisions-none"), error.message);
    show($("decisions-none"), true);
  }
}

function create() {
  const slot = (tag, name, of = "") => make(tag, { "data-slot": name, class: of });
  return make("li", {},
    make("details", {},
      make("summary", {}, slot("span", "symbol"), " ", slot("span", "spec", "spec"), " ", slot("span", "outcome", "soft"), " ", slot("span", "at", "soft")),
      slot("div", "attempts", "attempts")));
}

function update(item, told) {
  const slots = new Slots(item);
  const [symbol, tone] = SYMBOLS[told.outcome] ?? ["◌", "warn"];
  slots.put("symbol", symbol);
  slots.at("symbol").className = `symbol ${tone}`;
  slots.at("symbol").setAttribute("aria-hidden", "true");
  slots.put("spec", `${told.provider}/${told.spec}`);
  const taker = told.member ?? told.attempts.at(-1)?.member;
  slots.put("outcome", `${told.outcome.replace("_", " ")}${taker ? ` on ${taker}` : ""}${told.seconds === null ? "" : ` in ${seconds(told.seconds)}`}`);
  slots.put("at", `at ${clock(told.at)}`);
  const key = JSON.stringify([told.attempts, told.nobody_left ?? null]);
  if (item.told !== key) {
    item.told = key;
    slots.at("attempts").replaceChildren(...told.attempts.map(attempt), ...(told.nobody_left ? [nobody(told.nobody_left)] : []));
  }
}

function attempt(told) {
  const ended = told.ended ? ` It ended as ${told.ended.outcome}${told.ended.why ? `: ${told.ended.why}` : ""}.` : "";
  const words = `Attempt ${told.attempt}: ${told.member} was chosen, ${told.why}.${told.last_resort ? " It was a last resort." : ""}${ended}`;
  return make("div", {}, make("p", {}, words), ...reasons(told));
}

function nobody(told) {
  return make("div", {}, make("p", {}, `In the end nobody was left${told.why ? `: ${told.why}` : ""}.`), ...reasons(told));
}

function reasons(told) {
  const places = told.candidates.map((one, i) =>
    make("li", {}, make("strong", {}, one.name), ` score ${figure(one.score)}, weight ${figure(one.weight)}, ${one.state}${one.note ? `; ${one.note}` : ""}`));
  const out = told.exclusions.map((one) => make("li", {}, make("strong", {}, one.name), ` ${one.reason}`));
  return [
    ...(places.length ? [make("h3", {}, "In this order"), make("ol", {}, ...places)] : []),
    ...(out.length ? [make("h3", {}, "Left out"), make("ul", {}, ...out)] : []),
  ];
}
