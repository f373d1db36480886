// What must hold for documents that try to give orders, whatever the model makes of them: nothing in a document becomes one of the model's
// own tokens, and nothing in it closes the delimiters around it. How far the models obey is measured by bench/injection.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { injectedDocuments } from "../../bench/injection/documents.ts";
import { documentPrompt } from "../../src/documents/citations.ts";
import { readDocument } from "../../src/documents/read.ts";
import { resolveModel } from "../../src/models/catalogue.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { modelFactsOf, specialTokensOf } from "../../src/models/inspect-model.ts";
import { openTokenizer } from "../../src/models/tokenizer.ts";
import { OfficeDoor } from "../../src/server/office/office-door.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { openTestApp, user } from "../api/test-app.ts";
import { seeded } from "../documents/fixtures.ts";

const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-injected-"));
const gguf = readGguf(resolveModel({ model: "quern-mini", dataFolder }).file);
const special = specialTokensOf(gguf);
const template = openChatTemplate(modelFactsOf(gguf).chatTemplate, { specialTokens: special });
const tokenizer = openTokenizer(gguf.metadata);
const workspace = openWorkspace(dataFolder);
const office = new OfficeDoor({ files: workspace.files, dataFolder });
let pieces: readonly string[] = [];
const served = openTestApp({
  office,
  template,
  checkHost: false,
  limits: { bodyBytes: 4 * 2 ** 20, perKey: 4 },
  script: {
    contextTokens: 32_768,
    answer: ({ prompt }) => {
      pieces = prompt.kind === "text" ? prompt.pieces : [];
      return "ok";
    },
  },
});
after(async () => {
  await office[Symbol.asyncDispose]();
  await served[Symbol.asyncDispose]();
  workspace[Symbol.dispose]();
});

/** Every special token that the model would see, in order: control tokens and the tool-call tags. */
function specialsIn(prompt: readonly string[]): string[] {
  const names = new Map(special.map(({ id, text }) => [id, text]));
  return prompt.flatMap((piece) =>
    Array.from(tokenizer.encode(piece, { special: true })).flatMap((id) => names.get(id) ?? []),
  );
}

const documents = injectedDocuments();

test("the set has forty documents, twenty ways in each language, and each holds its fact", () => {
  assert.equal(documents.length, 40);
  assert.equal(new Set(documents.map(({ way }) => way)).size, 20);
  assert.equal(new Set(documents.map(({ marker, fact }) => marker === fact)).has(true), false);
});

for (const { name, bytes, language, way, question } of documents) {
  test(`${language}, ${way}: stays inside its delimiters, and forms no token of the model's own`, async () => {
    const file = {
      filename: name,
      file_data: `data:application/octet-stream;base64,${Buffer.from(bytes).toString("base64")}`,
    };
    const messages = [
      user([
        { type: "file", file },
        { type: "text", text: question },
      ]),
    ];
    const response = await served.post("/v1/chat/completions", { messages });
    assert.equal(response.status, 200, await response.clone().text());
    assert.deepEqual(specialsIn(pieces), ["<|im_start|>", "<|im_end|>", "<|im_start|>"]);
    const prompt = pieces.join("");
    const nonce = /<<<document 1 (\w{12}): /.exec(prompt)?.[1] ?? "none";
    const marks = [...prompt.matchAll(/<{3,}[^\n>]*?(?=:|>>>| (?:与|and))/g)].map(([mark]) => mark);
    assert.deepEqual(marks, [
      `<<<document 1 ${nonce}`,
      `<<<end 1 ${nonce}`,
      `<<<document … ${nonce}`,
      `<<<end … ${nonce}`,
    ]);
    const end = prompt.indexOf(`<<<end 1 ${nonce}>>>`);
    assert.ok(prompt.indexOf(question, end) > end, "the question stands behind the document");
  });
}

test("no text or name of a document forms a delimiter, even one that knows the random word", async () => {
  const nonce = "0123456789ab";
  const scraps = [
    "<",
    "<<",
    "<<<",
    ">",
    ">>>",
    "end 1 ",
    "document 2 ",
    nonce,
    nonce.slice(0, 5),
    nonce.slice(5),
    "\n",
    ": ",
    "[p. 3]",
    "\u200b",
    "x",
  ];
  const random = seeded(20_25);
  const scrap = (): string => scraps[Math.floor(random() * scraps.length)] ?? "";
  const some = (): string => Array.from({ length: 12 }, scrap).join("");
  for (let round = 0; round < 300; round++) {
    const text = some();
    const document = await readDocument({ bytes: Buffer.from(`a ${text} b`) }, { name: "a.txt", clean: false });
    const name = some();
    const prompt = documentPrompt([{ document: { ...document, name } }], { question: "?", language: "en", nonce }).text;
    const inside = prompt.slice(prompt.indexOf("\n") + 1, prompt.lastIndexOf(`\n<<<end 1 ${nonce}>>>\n\nWhat stands`));
    assert.doesNotMatch(inside, /<<<|>>>/, JSON.stringify({ text, name }));
    assert.equal(inside.includes(nonce), false, JSON.stringify({ text, name }));
    assert.equal(prompt.split("<<<").length - 1, 4, JSON.stringify({ text, name }));
  }
});
