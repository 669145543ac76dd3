// One chart of the last minutes, a line for each member, from what this page was told while it was open. uPlot draws it;
// without uPlot nothing is drawn.

import { $, list, make, say } from "./dom.js";
import { figure, percent } from "./words.js";

const SPAN = 15 * 60; // seconds that are kept
const EVERY = 1; // seconds between two points at least
const LEAST = 30; // seconds that are shown at least
const LINES = 8; // as many as can be told apart
const HEIGHT = 200; // pixels
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const FIGURES = {
  expected: ["Expected share", (one) => one.share.expected, percent],
  actual: ["Share that came", (one) => one.share.actual, percent],
  load: ["Seats in use", (one) => one.load, figure],
  success: ["Success of the last hour", (one) => one.lately?.success ?? null, percent],
  launches: ["Launches of the last hour", (one) => one.lately?.launches ?? null, figure],
  weight: ["Effective weight", (one) => one.effective_weight, figure],
};
const points = []; // {at, values: {figure: {member: value}}}
let plot = null;
let drawn = ""; // which members and which figure the plot is of

export function charts() {
  if (!$("chart") || !globalThis.uPlot) return;
  for (const [key, [title]] of Object.entries(FIGURES)) $("figure").append(make("option", { value: key }, title));
  $("figure").addEventListener("change", draw);
  new ResizeObserver(() => plot?.setSize({ width: $("chart").clientWidth, height: HEIGHT })).observe($("chart"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawn = ""; draw(); });
}

/** Takes what the members are now for one more point of every line. */
export function note(told) {
  const at = Date.now() / 1000;
  const last = points.at(-1);
  if (last && at - last.at < EVERY) points.pop();
  const values = Object.fromEntries(Object.entries(FIGURES).map(([key, [, value]]) => [key, Object.fromEntries(told.members.map((one) => [one.name, value(one)]))]));
  points.push({ at: last && at - last.at < EVERY ? last.at : at, values });
  while (points[0].at < at - SPAN) points.shift();
  draw();
}

function draw() {
  if (!$("chart") || !globalThis.uPlot || !points.length) return;
  const key = $("figure").value;
  const names = largest(key);
  const data = [points.map((point) => point.at), ...names.map((name) => points.map((point) => point.values[key][name] ?? null))];
  const wanted = JSON.stringify([key, names]);
  if (drawn === wanted) plot.setData(data);
  else {
    plot?.destroy();
    plot = new globalThis.uPlot(options(key, names), data, $("chart"));
    drawn = wanted;
    list($("legend"), names, (name) => name, (name) => make("li", {}, make("canvas", { width: 28, height: 10, "aria-hidden": "true" }), ` ${name}`),
      (item, name) => sample(item.firstChild, names.indexOf(name)));
  }
  tell(key, names);
}

/** The members with the largest values now, in the order of the table. */
function largest(key) {
  const now = points.at(-1).values[key];
  const kept = new Set(Object.keys(now).sort((a, b) => (now[b] ?? -1) - (now[a] ?? -1)).slice(0, LINES));
  return Object.keys(now).filter((name) => kept.has(name));
}

function tell(key, names) {
  const [title, , words] = FIGURES[key];
  const now = points.at(-1).values[key];
  say($("chart-says"), `${title} now: ${names.map((name) => `${name} ${now[name] === null ? "not known" : words(now[name])}`).join(", ")}.`);
}

function options(key, names) {
  const share = FIGURES[key][2] === percent;
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width: $("chart").clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { range: (_, low, high) => [Math.min(low, high - LEAST), high] }, y: { range: (_, low, high) => [0, share ? 1 : Math.max(1, (high ?? 1) * 1.1)] } },
    axes: [{ ...axis, size: 28, values: (_, ticks) => ticks.map(timeOf) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(share ? percent : figure) }],
    series: [{}, ...names.map((name, i) => ({ label: name, stroke: () => line(i), width: 2, dash: DASHES[i % DASHES.length], points: { show: false } }))],
  };
}

function timeOf(at) {
  return new Date(at * 1000).toLocaleTimeString();
}

function line(i) {
  return colour(`--line-${(i % 4) + 1}`);
}

function colour(name) {
  return getComputedStyle($("charts")).getPropertyValue(name).trim();
}

function sample(canvas, i) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  Object.assign(context, { strokeStyle: line(i), lineWidth: 3 });
  context.setLineDash(DASHES[i % DASHES.length]);
  context.beginPath();
  context.moveTo(0, 5);
  context.lineTo(28, 5);
  context.stroke();
}
