// The dialogs that change a member: its weight, a drain, and the end of one. What was typed stays through conflicts.

import { ask, memberPath } from "./ask.js";
import { $, Slots, list, make, say, show } from "./dom.js";
import { predicted } from "./predict.js";
import { word } from "./rows.js";
import { clock, figure, percent } from "./words.js";

const STEPS = 200; // of the range
let members = []; // as told last
let open = null; // {act, dialog, slots, member, etag, before}
let saved = () => {};

/** `done(sentence)` is called after a change was taken. */
export function steering(done) {
  saved = done;
  $("rows").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (button) begin(button.dataset.act, button.closest("tr").dataset.member);
  });
  for (const act of ["weight", "drain", "undrain"]) prepare(act, $(act));
  $("weight-number").addEventListener("input", () => weigh($("weight-number"), $("weight-range")));
  $("weight-range").addEventListener("input", () => weigh($("weight-range"), $("weight-number")));
}

/** The members as they stand now: the prediction follows them while a dialog is open. */
export function steerBy(told) {
  members = told.members;
  if (open?.act === "weight") predict();
}

function prepare(act, dialog) {
  const form = dialog.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(change(act));
  });
  form.querySelector('[data-act="cancel"]').addEventListener("click", () => dialog.close());
  form.querySelector('[data-act="back"]')?.addEventListener("click", () => save({ weight: null }));
  form.querySelector('[data-field="for"]')?.addEventListener("change", (event) =>
    show(form.querySelector('[data-slot="at"]'), event.target.value === "at"));
  dialog.addEventListener("close", () => (open = null));
}

async function begin(act, name) {
  const dialog = $(act);
  const member = members.find((one) => one.name === name);
  if (!member || open) return;
  open = { act, dialog, slots: new Slots(dialog), member, etag: null, before: member.override };
  dialog.querySelector("form").reset();
  for (const slot of ["at"]) if (open.slots.at(slot)) show(open.slots.at(slot), false);
  object("");
  open.slots.put("name", name);
  open.slots.put("now", standing(member));
  if (act === "weight") {
    const most = 2 * Math.max(1e-9, member.weight, ...members.map((one) => one.weight));
    Object.assign($("weight-range"), { max: most, step: most / STEPS, value: member.weight });
    $("weight-number").value = member.weight;
    predict();
  }
  dialog.showModal();
  const mine = open;
  await known(mine);
}

/** What the change is to be based on: the member as it is set right now. */
async function known(mine) {
  try {
    const { told, etag } = await ask(memberPath(mine.member.name));
    Object.assign(mine, { etag, before: told.override, member: told });
    if (mine === open) mine.slots.put("now", standing(told));
  } catch (error) {
    if (mine === open) object(error.message);
  }
}

function standing(member) {
  const configured = member.configured_weight ?? member.weight;
  const parts = [`Weight ${figure(member.weight)}; the configuration says ${figure(configured)}.`];
  if (member.override?.weight) parts.push(`Set${word(member.override.weight)}.`);
  if (member.override?.drained) parts.push(`Drained${word(member.override.drained)}.`);
  return parts.join(" ");
}

function weigh(from, to) {
  to.value = from.value;
  predict();
}

function typed() {
  const text = $("weight-number").value.trim();
  const weight = Number(text);
  return text && Number.isFinite(weight) && weight >= 0 ? weight : null;
}

function predict() {
  const weight = typed();
  const then = weight === null ? new Map() : predicted(members, open.member.name, weight);
  $("weight-range").setAttribute("aria-valuetext", `${figure(weight ?? NaN)}, share ${percent(then.get(open.member.name))}`);
  list($("predicted"), members, (one) => one.name, (one) => make("tr", {}, make("th", { scope: "row" }, one.name), make("td"), make("td")), (row, one) => {
    say(row.children[1], one.effective_weight > 0 ? percent(one.share.expected) : "takes none");
    say(row.children[2], one.effective_weight > 0 || one.name === open.member.name ? percent(then.get(one.name)) : then.get(one.name) === 0 ? "takes none" : "not known");
  });
}

/** What the form asks for, or null and what is wrong with it in words. */
function change(act) {
  if (act === "undrain") return { state: "active" };
  if (act === "weight") {
    const weight = typed();
    if (weight === null) return fault($("weight-number"), "A weight is a number, 0 or more.");
    return { weight };
  }
  const reason = $("drain-reason");
  return reason.value.trim() ? { state: "drained" } : fault(reason, "Say why: others wonder, and the status page shows it.");
}

function fault(field, words) {
  object(words);
  field.focus();
  return null;
}

async function save(wanted) {
  const mine = open;
  if (!wanted || !mine || mine.saving) return;
  const until = ending(mine.dialog);
  if (until === undefined) return;
  const reason = mine.dialog.querySelector('[data-field="reason"]').value.trim();
  mine.saving = true;
  try {
    if (!mine.etag) await known(mine);
    if (!mine.etag) return;
    const body = { ...wanted, reason, ...(wanted.state === "active" || wanted.weight === null ? {} : { until }) };
    await ask(memberPath(mine.member.name), { method: "PATCH", headers: { "If-Match": mine.etag }, body });
    mine.dialog.close();
    saved(sentence(mine.member.name, wanted));
  } catch (error) {
    if (error.status === 412) await conflict(mine);
    else if (mine === open) object(error.message);
  } finally {
    mine.saving = false;
  }
}

/** Seconds of the epoch, null for no end; undefined when none can be told, which is said. */
function ending(dialog) {
  const choice = dialog.querySelector('[data-field="for"]')?.value ?? "";
  if (choice !== "at") return choice ? Date.now() / 1000 + Number(choice) : null;
  const field = dialog.querySelector('[data-field="at"]');
  const at = new Date(field.value).getTime() / 1000;
  if (at > Date.now() / 1000) return at;
  fault(field, "The end is to be a time to come.");
  return undefined;
}

async function conflict(mine) {
  const before = mine.before;
  mine.etag = null;
  await known(mine);
  if (mine !== open || !mine.etag) return;
  object(`${meanwhile(before, mine.before)} What you typed is still here: save again to put it in the place of that.`);
}

/** Who changed what between two overrides. */
export function meanwhile(before, after) {
  const parts = ["weight", "drained"].filter((part) => JSON.stringify(before?.[part] ?? null) !== JSON.stringify(after?.[part] ?? null));
  const said = parts.map((part) => {
    const now = after?.[part];
    if (!now) return part === "weight" ? "its weight is the configuration’s again" : "it is not drained any more";
    const what = part === "weight" ? `set its weight to ${figure(now.value)}` : "drained it";
    return `${now.by || "somebody"} ${what} at ${clock(now.at)}${now.reason ? ` (${now.reason})` : ""}`;
  });
  return `Meanwhile ${said.join(", and ") || "somebody changed it"}.`;
}

function object(words) {
  const place = open.dialog.querySelector(".conflict");
  say(place, words);
  show(place, Boolean(words));
}

function sentence(name, wanted) {
  if (wanted.state === "drained") return `${name} is drained.`;
  if (wanted.state === "active") return `${name} is not drained any more.`;
  return wanted.weight === null ? `The weight of ${name} is the configuration’s again.` : `The weight of ${name} is ${figure(wanted.weight)} now.`;
}
