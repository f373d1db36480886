// Reads a delivered text with a simple rule of its own, sharing no code with Quern's check: every figure in it must be, at the digits
// written, one of the true values; and in a sentence that names one product only, it must be true of that product or of the whole.
import type { Figures, Truth } from "./random-workbook.ts";

const magnitude: Record<string, number> = { 亿: 1e8, 万: 1e4, million: 1e6, billion: 1e9 };

function percentsOf({ current, previous }: Figures, whole: Figures): number[] {
  const change = whole.current - whole.previous;
  return [
    ...(previous === 0 ? [] : [(100 * (current - previous)) / Math.abs(previous)]),
    ...(change === 0 ? [] : [(100 * (current - previous)) / change]),
  ];
}

const amountsOf = ({ current, previous }: Figures): number[] => [current, previous, current - previous];

/** The figures of a sentence that the truth does not hold. */
export function untrueFigures(sentence: string, { whole, members, memberCount }: Truth): string[] {
  // A model may write "3D打印机" for "3D 打印机".
  const tight = (text: string): string => text.replace(/\s+/g, "");
  const named = [...members].filter(([name]) => tight(sentence).includes(tight(name)));
  let text = sentence;
  for (const [name] of members) {
    text = text.replace(
      new RegExp([...tight(name)].map((sign) => sign.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("\\s*"), "g"),
      "＿",
    );
  }
  text = text.replace(/20\d\d年第?[一二三四1-4]季度|Q[1-4] 20\d\d|20\d\d-\d\d/g, "＿");
  const figures = named.length === 1 ? [whole, ...named.map(([, one]) => one)] : [whole, ...members.values()];
  const percents = [...figures.flatMap((one) => percentsOf(one, whole)), ...othersPercents(members, whole)];
  const amounts = [...figures.flatMap(amountsOf), ...othersAmounts(members)];
  const untrue: string[] = [];
  for (const match of text.matchAll(/(\d[\d,]*(?:\.\d+)?)\s?(%|亿|万|million|billion)?/g)) {
    const digits = (match[1] ?? "").replaceAll(",", "").replace(/\.$/, "");
    const decimals = digits.includes(".") ? digits.length - digits.indexOf(".") - 1 : 0;
    const unit = match[2] ?? "";
    const factor = magnitude[unit] ?? 1;
    const value = Number(digits) * factor;
    const reach = 0.5000001 * 10 ** -decimals * factor + 1e-6 * value;
    // A share is rounded so that all shares sum to 100.0: it may lie up to a whole tenth from the plain value.
    const near = (candidate: number): boolean =>
      Math.abs(Math.abs(candidate) - value) <= (unit === "%" ? Math.max(reach, 0.1000001) : reach);
    const isCount = unit === "" && Number.isInteger(value) && value <= memberCount;
    if (!(unit === "%" ? percents.some(near) : isCount || amounts.some(near))) untrue.push(match[0].trim());
  }
  return untrue;
}

/** What is folded into "others" is any tail of the members by size of their part. */
function tails(members: Truth["members"]): Figures[] {
  const sorted = [...members.values()].sort(
    (a, b) => Math.abs(b.current - b.previous) - Math.abs(a.current - a.previous),
  );
  return sorted.map((_, index) =>
    sorted
      .slice(index)
      .reduce((sum, one) => ({ current: sum.current + one.current, previous: sum.previous + one.previous }), {
        current: 0,
        previous: 0,
      }),
  );
}

const othersPercents = (members: Truth["members"], whole: Figures): number[] =>
  tails(members).flatMap((tail) => percentsOf(tail, whole));
const othersAmounts = (members: Truth["members"]): number[] => tails(members).flatMap(amountsOf);
