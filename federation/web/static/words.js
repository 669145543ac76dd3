// How figures are said: states, shares, lengths of time. Knows no page and no clock.

const told = document.getElementById("words");
const WORDS = told ? JSON.parse(told.textContent) : { states: {} };
const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

export const BLIND = WORDS.blind;

/** Symbol, tone and words of a member's state, the same as on the status page. */
export function stateOf(member) {
  const full = member.state === "healthy" && member.seats !== null && member.free === 0;
  return (full ? WORDS.full : WORDS.states[member.state]) ?? ["◌", "warn", member.state];
}

/** A length of time in one unit, rounded down: `3 minutes`. */
export function age(seconds) {
  for (const [size, unit] of UNITS) {
    const count = Math.floor(Math.max(seconds, 0) / size);
    if (count) return `${count} ${unit}${count > 1 ? "s" : ""}`;
  }
  return "a moment";
}

export function percent(share) {
  if (share === null || share === undefined) return "not known";
  const hundredths = 100 * share;
  return `${hundredths > 0 && hundredths < 10 ? hundredths.toFixed(1) : Math.round(hundredths)} %`;
}

/** A weight or another figure with as few digits as tell it. */
export function figure(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "not known";
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.1) return `${Math.round(1000 * value)} ms`;
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

/** A time of today as a clock shows it, another one with its date. */
export function clock(at, now = Date.now() / 1000) {
  const time = new Date(at * 1000);
  const today = time.toDateString() === new Date(now * 1000).toDateString();
  return today ? time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : time.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

/** Nested data as lines `key, value`. */
export function flat(told, prefix = "") {
  return Object.entries(told ?? {}).flatMap(([key, value]) =>
    value && typeof value === "object" && !Array.isArray(value)
      ? flat(value, `${prefix}${key} / `)
      : [[prefix + key, Array.isArray(value) ? JSON.stringify(value) : String(value)]]);
}
