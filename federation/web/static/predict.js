// What a weight would make of everybody's share, before it is saved. Knows no page.

/** Each member's share of launches if `name` had this weight, by name; null where it cannot be known.
 *
 *  The front door lowers a weight for evidence, full seats and a slow start, all of them factors: so the effective weight
 *  grows in proportion to the weight, and a share is a member's part of the sum. Of a member that takes no launches now
 *  these factors are not known, and with it in the sum nobody's share is. */
export function predicted(members, name, weight) {
  const then = members.map((member) => [member.name, member.name === name ? scaled(member, weight) : member.effective_weight]);
  if (then.some(([, effective]) => effective === null)) return new Map(then.map(([one]) => [one, null]));
  const sum = then.reduce((total, [, effective]) => total + effective, 0);
  return new Map(then.map(([one, effective]) => [one, sum > 0 ? effective / sum : 0]));
}

function scaled(member, weight) {
  if (weight === 0) return 0;
  return member.effective_weight > 0 && member.weight > 0 ? (member.effective_weight * weight) / member.weight : null;
}
