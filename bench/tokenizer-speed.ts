// How fast text becomes tokens: node bench/tokenizer-speed.ts [MODEL.gguf] [megabytes]. Mixed Chinese and English text is made from
// the golden prompts with numbers inserted, so that few words repeat exactly; and 64K characters without a space, the worst word.
import { readFileSync } from "node:fs";
import path from "node:path";
import { readGguf } from "../src/models/gguf.ts";
import { openTokenizer } from "../src/models/tokenizer.ts";

const folder = path.join(import.meta.dirname, "../models/quern-mini");
const [file = path.join(folder, "quern-mini-q4_k_m.gguf"), megabytes = "8"] = process.argv.slice(2);
const golden: { prompts: { prompt: string }[] } = JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8"));
const gguf = readGguf(file);
const opening = performance.now();
const tokenizer = openTokenizer(gguf.metadata);
const openMs = performance.now() - opening;

const paragraphs = golden.prompts.map(({ prompt }) => prompt).join("\n");
let text = "";
for (let part = 0; Buffer.byteLength(text) < Number(megabytes) * 1e6; part++) {
  text += `${paragraphs.replaceAll(/[，,]/g, (comma) => `${comma}${(part++ * 7919).toString(36)}`)}\n`;
}
const rows = [
  measure("mixed", text),
  measure("mixed again", text),
  measure("no space, zh", "数据分析".repeat(16_384)),
  measure("no space, en", "abcdefgh".repeat(8_192)),
];
console.table(rows);
console.log(JSON.stringify({ bench: "tokenizer", model: path.basename(file), node: process.version, openMs, rows }));

function measure(
  name: string,
  sample: string,
): { name: string; bytes: number; tokens: number; megabytesPerSecond: number } {
  const start = performance.now();
  const tokens = tokenizer.encode(sample, { special: true }).length;
  const bytes = Buffer.byteLength(sample);
  return { name, bytes, tokens, megabytesPerSecond: Number((bytes / 1e3 / (performance.now() - start)).toFixed(2)) };
}
