// The table of members: a row for each, whose texts follow what is told. Changes no member.

import { $, Slots, list, pairs, say, show } from "./dom.js";
import { age, clock, figure, flat, percent, seconds, stateOf } from "./words.js";

const rows = new Map(); // slots by member
const states = new Map(); // the last state that was told, by member

/** Shows the document of `/federation/v1/members`, told at `at` (ms of the epoch). Gives the changes of state in words,
 *  none the first time. */
export function showMembers(told, at) {
  const changes = [];
  list($("rows"), told.members, (member) => member.name, create, (_, member) => {
    update(rows.get(member.name), member, at);
    const now = `${stateOf(member)[2]}${member.state}`;
    const before = states.get(member.name);
    states.set(member.name, now);
    if (before !== undefined && before !== now) changes.push(`${member.name}: ${stateOf(member)[2]}${because(member)}.`);
  });
  return changes;
}

/** Lengths of time that grow by themselves. */
export function letTimePass(told, at) {
  for (const member of told.members) if (rows.has(member.name)) times(rows.get(member.name), member, at);
}

function because(member) {
  return member.reason && member.state !== "healthy" ? `, ${member.reason.replace(/^drained: /, "")}` : "";
}

function create(member) {
  const row = $("row").content.firstElementChild.cloneNode(true);
  const slots = new Slots(row);
  rows.set(member.name, slots);
  row.dataset.member = member.name;
  slots.put("name", member.name);
  for (const slot of ["of-signals", "of-versions", "of-weight"]) slots.put(slot, ` of ${member.name}`);
  for (const slot of ["of-drain", "of-undrain"]) slots.put(slot, ` ${member.name}`);
  if ($("console").dataset.mayChange === "no") {
    for (const button of row.querySelectorAll("button")) {
      button.disabled = true;
      button.setAttribute("aria-describedby", "no-change");
    }
  }
  return row;
}

function update(slots, member, at) {
  const host = slots.at("host");
  if (host.href !== new URL(member.url).href) host.href = member.url;
  slots.put("host", new URL(member.url).host);
  const [symbol, tone, words] = stateOf(member);
  slots.put("symbol", symbol);
  slots.at("symbol").className = `symbol ${tone}`;
  slots.put("state", words);
  slots.put("reason", member.override?.drained ? "" : (member.reason ?? "")); // which is told below, with its author
  slots.put("set", setBy(member.override));
  weights(slots, member);
  seats(slots, member);
  lately(slots, member.lately);
  pairs(slots.at("versions"), flat(member.versions));
  drained(slots, Boolean(member.override?.drained));
  times(slots, member, at);
}

function drained(slots, is) {
  const [drain, undrain] = ["drain", "undrain"].map((act) => slots.root.querySelector(`[data-act="${act}"]`));
  const focused = [drain, undrain].includes(document.activeElement);
  show(drain, !is);
  show(undrain, is);
  if (focused) (is ? undrain : drain).focus(); // a button that goes must not take the focus with it
}

/** Who set what for it, why, and until when. */
function setBy(override) {
  const parts = [];
  if (override?.weight) parts.push(`weight ${figure(override.weight.value)}${word(override.weight)}`);
  if (override?.drained) parts.push(`drained${word(override.drained)}`);
  return parts.length ? `Set: ${parts.join("; ")}` : "";
}

export function word({ by, reason, until }) {
  return `${by ? ` by ${by}` : ""}${reason ? `, ${reason}` : ""}${until ? `, until ${clock(until)}` : ""}`;
}

function weights(slots, member) {
  slots.put("weight", figure(member.weight));
  slots.put("effective", `effective ${figure(member.effective_weight)}`);
  const configured = member.configured_weight ?? member.weight;
  slots.put("configured", configured === member.weight ? "" : `configured ${figure(configured)}`);
  slots.put("expected", percent(member.share.expected));
  slots.put("actual", percent(member.share.actual));
  const meter = slots.at("meter");
  meter.value = member.share.expected;
  meter.ariaLabel = `Expected share of ${member.name}`;
}

function seats(slots, member) {
  slots.put("seats", member.seats === null ? `${member.load} in use, no limit told` : `${member.load} of ${member.seats} in use`);
  slots.put("leases", member.leases ? `${member.leases} of them held for launches` : "");
}

function lately(slots, told) {
  slots.put("success", told?.launches ? `${percent(told.success)} ready` : "no launch");
  slots.put("launches", told?.launches ? `of ${told.launches} launches` : "");
  const { p50 = null, p95 = null } = told?.ready_seconds ?? {};
  slots.put("ready", p50 === null ? "" : `half in ${seconds(p50)}, 95 % in ${seconds(p95)}`);
}

function times(slots, member, at) {
  const past = (Date.now() - at) / 1000;
  slots.put("since", member.since ? `for ${age(Date.now() / 1000 - member.since)}` : "");
  const { probe, ...signals } = member.signals ?? {};
  slots.put("looked", probe?.age === null || probe === undefined ? "not seen yet" : `seen ${age(probe.age + past)} ago`);
  slots.put("builds", signals.builds ? `${figure(signals.builds.value)} builds under way` : "");
  if (slots.at("signals").parentElement.open) pairs(slots.at("signals"), told(probe, signals, past));
}

function told(probe, signals, past) {
  const checks = (probe?.checks ?? []).map((check) => [check.service, check.ok ? "works" : check.ignored ? "fails, does not count" : "fails"]);
  const figures = Object.entries(signals).map(([name, signal]) =>
    [name.replaceAll("_", " "), `${figure(signal.value)}, ${age(signal.age + past)} old`]);
  const all = [...checks, ...figures];
  return all.length ? all : [["Signals", "none is told"]];
}
