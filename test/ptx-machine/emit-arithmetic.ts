// Sums, products, quotients and functions of numbers.
import { byType, call, type Handler, ofFloats, ofInts, ofNumbers, ofPairs, only, refuse, rounded } from "./emitter.ts";

const sum = (sign: "+" | "-", ofHalves: string): Handler =>
  byType({
    halves: call(ofHalves),
    real: rounded((a, b) => `${a} ${sign} ${b}`),
    wide: ofPairs(([al, ah], [bl, bh]) => {
      const carry = sign === "+" ? `($LOW >>> 0) < (${al} >>> 0)` : `(${al} >>> 0) < (${bl} >>> 0)`;
      return [`${al} ${sign} ${bl} | 0`, `${ah} ${sign} ${bh} ${sign} (${carry} ? 1 : 0) | 0`];
    }),
    word: ofInts((a, b) => `${a} ${sign} ${b} | 0`),
  });

const quotient = (sign: "/" | "%"): Handler =>
  byType({
    real: rounded((a, b) => `${a} / ${b}`),
    wide: (js, { a, b, type }) =>
      js.keepPair(`rt.divide64(${[...js.pair(a), ...js.pair(b), type === "s64", sign === "%"].join(", ")})`),
    word: ofNumbers((a, b) => `${a} ${sign} ${b} | 0`),
  });

const product64 = ofPairs(([al, ah], [bl, bh]) => [
  `Math.imul(${al}, ${bl})`,
  `rt.mulHigh(${al}, ${bl}) + Math.imul(${al}, ${bh}) + Math.imul(${ah}, ${bl}) | 0`,
]);

export const arithmetic: Record<string, Handler> = {
  add: sum("+", "rt.halvesAdd"),
  sub: sum("-", "rt.halvesSub"),
  mul: byType({
    halves: call("rt.halvesMul"),
    real: rounded((a, b) => `${a} * ${b}`),
    wide: only("lo.s64 lo.u64", product64),
    word(js, { how: [part], type, a, b }) {
      const low = `Math.imul(${js.int(a)}, ${js.int(b)})`;
      const high = `rt.mulHigh${type.startsWith("s") ? "Signed" : ""}(${js.int(a)}, ${js.int(b)})`;
      if (part === "wide" && type.endsWith("16")) return `Math.imul(${js.number(a, type)}, ${js.number(b, type)})`;
      return part === "wide" ? [low, high] : part === "hi" ? high : low;
    },
  }),
  mad: only(
    "lo.s32 lo.u32 lo.s16 lo.u16",
    (js, { a, b, c }) => `Math.imul(${js.int(a)}, ${js.int(b)}) + ${js.int(c)} | 0`,
  ),
  fma: byType({ halves: call("rt.halvesFma"), word: rounded((a, b, c) => `${a} * ${b} + ${c}`) }),
  dp4a: only("s32.s32", call("rt.dp4a")),
  div: quotient("/"),
  rem: quotient("%"),
  neg: byType({ real: ofFloats((a) => `-${a}`), wide: refuse, word: ofInts((a) => `-${a} | 0`) }),
  abs: byType({ real: ofFloats((a) => `Math.abs(${a})`), wide: refuse, word: ofInts((a) => `Math.abs(${a}) | 0`) }),
  rcp: rounded((a) => `1 / ${a}`),
  sqrt: rounded((a) => `Math.sqrt(${a})`),
  rsqrt: rounded((a) => `1 / Math.sqrt(${a})`),
  ex2: rounded((a) => `2 ** ${a}`),
  lg2: rounded((a) => `Math.log2(${a})`),
  sin: rounded((a) => `Math.sin(${a})`),
  cos: rounded((a) => `Math.cos(${a})`),
};
