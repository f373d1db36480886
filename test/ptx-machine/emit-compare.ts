// Comparisons, and choices by them.
import { alike, byType, call, fail, type Handler, isReal, isWide, ofFloats, only, refuse } from "./emitter.ts";

const signs: Readonly<Record<string, string>> = {
  ...{ eq: "===", ne: "!==", lt: "<", le: "<=", gt: ">", ge: ">=", lo: "<", ls: "<=", hi: ">", hs: ">=" },
};

/** Comparisons with NaN are false; those that end in u, "or unordered", true. */
function compareReals(how: string, x: string, y: string): string {
  const areNumbers = `${x} === ${x} && ${y} === ${y}`;
  const isUnordered = `${x} !== ${x} || ${y} !== ${y}`;
  if (how === "num") return areNumbers;
  if (how === "nan") return isUnordered;
  if (how === "ne") return `${x} !== ${y} && ${areNumbers}`;
  if (how === "neu") return `${x} !== ${y}`;
  const ordered = how.replace(/u$/, "");
  const test = `${x} ${signs[ordered] ?? fail(how)} ${y}`;
  return ordered === how ? test : `${test} || ${isUnordered}`;
}

const extreme = (name: "min" | "max", ofHalves: string): Handler =>
  byType({
    halves: call(ofHalves),
    real: ofFloats((a, b) => `rt.${name}(${a}, ${b})`),
    wide(js, { a, b, type }) {
      const [x, y] = [js.pair(a), js.pair(b)];
      const [isFirst] = js.keep(`rt.less64(${[...x, ...y, type === "s64"].join(", ")}) === ${name === "min"}`);
      return [`${isFirst} ? ${x[0]} : ${y[0]}`, `${isFirst} ? ${x[1]} : ${y[1]}`];
    },
    word: (js, { a, b, type }) =>
      `Math.${name}(${js.number(a, type)}, ${js.number(b, type)})${type === "u32" ? " | 0" : ""}`,
  });

export const comparisons: Record<string, Handler> = {
  setp(js, form) {
    const [how = "", type = "", ...rest] = form.how;
    const { a, b } = form;
    if (rest.length > 0) return refuse(js, form);
    if (isReal(type)) return `${compareReals(how, js.float(a), js.float(b))} ? 1 : 0`;
    const sign = signs[how] ?? fail(how);
    const isEquality = how === "eq" || how === "ne";
    if (!isWide(type)) {
      const [x, y] = [a, b].map((one) => js.number(one, isEquality && type === "u32" ? "s32" : type));
      return `${x} ${sign} ${y} ? 1 : 0`;
    }
    const [x, y] = [js.pair(a), js.pair(b)];
    const isEqual = `${x[0]} === ${y[0]} && ${x[1]} === ${y[1]}`;
    const inOrder = /^(?:gt|le|hi|ls)$/.test(how) ? [...y, ...x] : [...x, ...y];
    const isLess = `rt.less64(${[...inOrder, type === "s64"].join(", ")})`;
    return `${isEquality ? isEqual : isLess} ? ${/^(?:eq|lt|gt|lo|hi)$/.test(how) ? "1 : 0" : "0 : 1"}`;
  },
  set: only("eq.u32.f16x2", (js, { a, b }) => `rt.halvesEqual(${js.int(a)}, ${js.int(b)}) ? -1 : 0`),
  selp(js, form) {
    const test = js.int(form.c);
    return alike((a, b) => `${test} ? ${a} : ${b}`)(js, form);
  },
  min: extreme("min", "rt.halvesMin"),
  max: extreme("max", "rt.halvesMax"),
};
