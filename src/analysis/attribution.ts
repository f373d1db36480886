// Who made the change: each member's additive part of it. Pure arithmetic on member figures of two periods.
//
// Sums:      part_m = current_m - previous_m, and the parts add up to the change.
// Averages:  A = sum(w_m * a_m) with w_m the member's share of the records. With midpoints (bar) the product rule is exact:
//            part_m = wbar_m * (a1_m - a0_m)  +  (abar_m - Abar) * (w1_m - w0_m)
//            the first term is the member's own change, the second its changed weight (mix); the w differences cancel over all
//            members, so Abar may be taken off without changing the sum.
// Price, volume, mix: see splitPriceVolume.
import { sumOf } from "./quality.ts";

export interface MemberPair {
  label: string;
  current: number;
  previous: number;
  /** Records with a value, for averages. */
  currentCount: number;
  previousCount: number;
}

export interface Contribution extends MemberPair {
  /** Additive part of the change, in the metric's unit. */
  part: number;
  /** part / change; undefined when there is no change to divide. In tenths of a percent, all shares adding up to exactly 1. */
  share?: number;
  /** Own rate of change; undefined when the previous value is 0. */
  rate?: number;
}

export function contributionsToSum(members: readonly MemberPair[]): Contribution[] {
  return withShares(members.map((member) => ({ ...member, part: member.current - member.previous })));
}

export function contributionsToAverage(members: readonly MemberPair[]): Contribution[] {
  const currentTotal = members.reduce((sum, member) => sum + member.currentCount, 0);
  const previousTotal = members.reduce((sum, member) => sum + member.previousCount, 0);
  if (currentTotal === 0 || previousTotal === 0) return withShares(members.map((member) => ({ ...member, part: 0 })));
  const average = (pick: (member: MemberPair) => number): number => sumOf(members.map(pick));
  const middle =
    (average((m) => (m.current * m.currentCount) / currentTotal) +
      average((m) => (m.previous * m.previousCount) / previousTotal)) /
    2;
  return withShares(
    members.map((member) => {
      const [w1, w0] = [member.currentCount / currentTotal, member.previousCount / previousTotal];
      // A member absent in one period has no average there; its own change is nil and all of it is mix.
      const a1 = member.currentCount > 0 ? member.current : member.previous;
      const a0 = member.previousCount > 0 ? member.previous : member.current;
      return { ...member, part: ((w1 + w0) / 2) * (a1 - a0) + ((a1 + a0) / 2 - middle) * (w1 - w0) };
    }),
  );
}

function withShares(parts: readonly (MemberPair & { part: number })[]): Contribution[] {
  const change = sumOf(parts.map(({ part }) => part));
  const scale = parts.reduce((most, { current, previous }) => Math.max(most, Math.abs(current), Math.abs(previous)), 0);
  const isStill = Math.abs(change) <= scale * 1e-9;
  const shares = isStill ? undefined : exactShares(parts.map(({ part }) => part / change));
  return parts.map((member, index): Contribution => {
    const rate = rateOf(member.current, member.previous);
    const share = shares?.[index];
    return { ...member, ...(share === undefined ? {} : { share }), ...(rate === undefined ? {} : { rate }) };
  });
}

/** Change relative to the size before; undefined without a before. A fall from a negative value counts as a fall. */
export function rateOf(current: number, previous: number): number | undefined {
  return previous === 0 ? undefined : (current - previous) / Math.abs(previous);
}

/**
 * Fractions that sum to 1, rounded to tenths of a percent so that what is printed sums to exactly 100.0 %: each is rounded down and
 * the tenths left over go to the largest remainders.
 */
export function exactShares(fractions: readonly number[]): number[] {
  const tenths = fractions.map((fraction) => Math.floor(fraction * 1000 + 1e-9));
  const missing = 1000 - tenths.reduce((sum, tenth) => sum + tenth, 0);
  const order = fractions
    .map((fraction, index) => ({ index, rest: fraction * 1000 - (tenths[index] ?? 0) }))
    .sort((a, b) => b.rest - a.rest || a.index - b.index);
  for (let i = 0; i < Math.abs(missing) && order.length > 0; i++) {
    const entry = missing > 0 ? order[i % order.length] : order[order.length - 1 - (i % order.length)];
    if (entry !== undefined) tenths[entry.index] = (tenths[entry.index] ?? 0) + Math.sign(missing);
  }
  return tenths.map((tenth) => tenth / 1000);
}

/** Members beyond the first `top` (by size of their part) as one, so that nothing is left out of the sum. */
export function foldOthers(
  contributions: readonly Contribution[],
  top: number,
  label: string,
): { shown: Contribution[]; others?: Contribution & { memberCount: number } } {
  const sorted = contributions.toSorted(
    (a, b) => Math.abs(b.part) - Math.abs(a.part) || a.label.localeCompare(b.label),
  );
  if (sorted.length <= top + 1) return { shown: sorted };
  const rest = sorted.slice(top);
  const add = (pick: (member: Contribution) => number): number => sumOf(rest.map(pick));
  const current = add((member) => member.current);
  const previous = add((member) => member.previous);
  const rate = rateOf(current, previous);
  return {
    shown: sorted.slice(0, top),
    others: {
      label,
      current,
      previous,
      currentCount: add((member) => member.currentCount),
      previousCount: add((member) => member.previousCount),
      part: add((member) => member.part),
      ...(rest.every((member) => member.share !== undefined)
        ? { share: Math.round(add((member) => member.share ?? 0) * 1000) / 1000 }
        : {}),
      ...(rate === undefined ? {} : { rate }),
      memberCount: rest.length,
    },
  };
}

export interface PriceVolumeMember {
  label: string;
  currentAmount: number;
  previousAmount: number;
  currentQuantity: number;
  previousQuantity: number;
}

export interface PriceVolumeSplit {
  change: number;
  volume: number;
  price: number;
  mix: number;
  /** Members sold in one period only: their amount, new or gone, counts as mix. */
  newAndGone: number;
  members: readonly { label: string; volume: number; price: number; mix: number }[];
}

/**
 * Change of an amount = volume + price + mix, exactly. With Q the total quantity, P0 the old average price, p and q a member's:
 *   volume = (Q1 - Q0) * P0                           as if every member had grown alike at the old average price
 *   mix    = sum((q1 - q0) * p0) - volume             shift towards dearer or cheaper members
 *   price  = sum((p1 - p0) * q1)                      each member's own price change on what is sold now
 */
export function splitPriceVolume(members: readonly PriceVolumeMember[]): PriceVolumeSplit {
  const total = (pick: (member: PriceVolumeMember) => number): number => sumOf(members.map(pick));
  const q0 = total((m) => m.previousQuantity);
  const q1 = total((m) => m.currentQuantity);
  const change = total((m) => m.currentAmount) - total((m) => m.previousAmount);
  const oldPrice = q0 === 0 ? 0 : total((m) => m.previousAmount) / q0;
  let newAndGone = 0;
  const perMember = members.map((m) => {
    const volume = (m.currentQuantity - m.previousQuantity) * oldPrice;
    const whole = m.currentAmount - m.previousAmount;
    if (m.previousQuantity === 0 || m.currentQuantity === 0) {
      newAndGone += whole;
      return { label: m.label, volume, price: 0, mix: whole - volume };
    }
    const p0 = m.previousAmount / m.previousQuantity;
    const price = m.currentAmount - p0 * m.currentQuantity;
    return { label: m.label, volume, price, mix: whole - volume - price };
  });
  const volume = (q1 - q0) * oldPrice;
  const price = sumOf(perMember.map((member) => member.price));
  return { change, volume, price, mix: change - volume - price, newAndGone, members: perMember };
}
