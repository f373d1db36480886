// An engine that lies on purpose: it takes the facts out of its prompt, writes fluent sentences with them, and makes each sentence
// wrong in one way with a given probability: another number, another product's number, a changed sign, unit, role or period, number
// words, invented causes with figures.
import type { Engine } from "../../src/engine/contract.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { Random } from "./random.ts";

export function openLyingEngine(seed: number, share = 0.6): Engine {
  const random = new Random(seed);
  return openScriptedEngine({
    contextTokens: 16_384,
    answer: (_request, prompt) => {
      const facts = [...prompt.matchAll(/^\d{1,2}\. (.+)$/gm)].map((match) => match[1] ?? "");
      const isAgain = /不符|is not in the facts/.test(prompt);
      if (facts.length === 0) return "32%。";
      const chosen = isAgain ? [random.pick(facts)] : facts.slice(0, 6);
      return chosen
        .map((fact) => (random.next() < share ? lie(fact, facts, random) : fact))
        .join(/[\u4e00-\u9fff]/.test(facts[0] ?? "") ? "" : " ");
    },
  });
}

const figure = /\d[\d,]*(?:\.\d+)?/;

function lie(fact: string, facts: readonly string[], random: Random): string {
  const other = random.pick(facts);
  const numbers = [...fact.matchAll(/\d[\d,]*(?:\.\d+)?(?=%|万|亿| million| billion)/g)].map((match) => match[0]);
  const target = numbers.length > 0 ? random.pick(numbers) : (figure.exec(fact)?.[0] ?? "7");
  const others = [...other.matchAll(/\d[\d,]*(?:\.\d+)?(?=%|万|亿)/g)].map((match) => match[0]);
  const swap = others.length > 0 ? random.pick(others) : "41";
  const plain = Number(target.replaceAll(",", ""));
  const zh = /[\u4e00-\u9fff]/.test(facts[0]?.slice(0, 4) ?? "");
  const kinds: (() => string)[] = [
    () => fact.replace(target, String(Math.round(plain * (1.1 + random.next())) + 1)),
    () => fact.replace(target, swap),
    () =>
      fact.replace(
        target,
        target.replace(/\d/, (digit) => String((Number(digit) + 1) % 10 || 3)),
      ),
    () =>
      fact
        .replace(/增长|rose/, (word) => (word === "rose" ? "fell" : "下降"))
        .replace(/贡献|added/, (word) => (word === "added" ? "took away" : "拖累")),
    () => fact.replace(/万元/, "亿元").replace(/ million/, " billion"),
    () => fact.replace(/本期为/, "上期为").replace(/from (.+?) to /, "to $1 from "),
    () => fact.replace(/第三季度|Q3/, (word) => (word === "Q3" ? "Q4" : "第一季度")),
    () => fact.replace(/占总变化的| of the change/, zh ? "增长" : "growing "),
    () => `${fact}${zh ? "预计下季度还将增长15%。" : " It should grow 15% more next quarter."}`,
    () => (zh ? "其中七成来自新客户，客单价翻倍。" : "Two thirds of it came from new customers, and prices doubled."),
    () => (zh ? `${target}%的增长来自促销。` : `${target}% of the growth came from promotions.`),
    () =>
      fact.replace(
        /[，,].*/,
        zh ? `，约为去年的${random.integer(2, 9)}倍。` : `, some ${random.integer(2, 9)} times last year.`,
      ),
  ];
  return random.pick(kinds)();
}
