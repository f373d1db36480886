// Files, documents, analyses and deliverables over HTTP, with the flagship workbook and an engine that says nothing useful, so that every
// sentence has to come from the facts.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { makeSalesRows, makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import type { Analysis } from "../../src/analysis/analyse.ts";
import { silentLog } from "../../src/base/log.ts";
import { plainSampling } from "../../src/engine/contract.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import { createApp } from "../../src/server/app.ts";
import { listen } from "../../src/server/listen.ts";
import { OfficeDoor } from "../../src/server/office/office-door.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { openTestApp } from "../api/test-app.ts";
import { encryptedPdf } from "../documents/encrypted-pdf.ts";

const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-office-"));
const workspace = openWorkspace(dataFolder);
const office = new OfficeDoor({ files: workspace.files, dataFolder });
const engine = openScriptedEngine({ answer: () => "增长了99%。", contextTokens: 32_768 });
const app = createApp({
  engine,
  template: openChatTemplate(undefined, { specialTokens: [] }),
  defaults: { sampling: plainSampling },
  log: silentLog,
  version: "test",
  limits: { bodyBytes: 16 * 1024 * 1024, perKey: 100 },
  checkHost: false,
  office,
});
const workbook = await makeSalesWorkbook(makeSalesRows());

after(async () => {
  await office[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
  workspace[Symbol.dispose]();
});

function post(url: string, body: object | FormData): Promise<Response> {
  const isForm = body instanceof FormData;
  return Promise.resolve(
    app.request(url, {
      method: "POST",
      body: isForm ? body : JSON.stringify(body),
      ...(isForm ? {} : { headers: { "content-type": "application/json" } }),
    }),
  );
}

async function upload(bytes: Uint8Array | string, name: string): Promise<string> {
  const form = new FormData();
  form.set("purpose", "user_data");
  form.set("file", new File([bytes as Uint8Array<ArrayBuffer>], name));
  const response = await post("/v1/files", form);
  const body = (await response.json()) as { id: string; object: string; filename: string; bytes: number };
  assert.deepEqual([response.status, body.object, body.filename], [200, "file", name]);
  return body.id;
}

const flagship = {
  plan: {
    kind: "change",
    comparison: "previous",
    metric: "销售额",
    filters: [
      { column: "区域", is: "in", values: ["华东"] },
      { column: "品类", is: "in", values: ["手机"] },
    ],
  },
  language: "zh",
};

test("a file goes in and comes out as it was, is listed, and can be deleted", async () => {
  const id = await upload("付款条款：三十天。", "合同.txt");
  const content = await app.request(`/v1/files/${id}/content`);
  assert.equal(await content.text(), "付款条款：三十天。");
  assert.match(content.headers.get("content-disposition") ?? "", /filename\*=UTF-8''%E5%90%88%E5%90%8C\.txt/);
  const listed = (await (await app.request("/v1/files")).json()) as { data: { id: string }[] };
  assert.ok(listed.data.some((file) => file.id === id));
  assert.equal((await app.request(`/v1/files/${id}`, { method: "DELETE" })).status, 200);
  const gone = await app.request(`/v1/files/${id}`);
  assert.equal(gone.status, 404);
  assert.equal(((await gone.json()) as { error: { code: string } }).error.code, "not_found");
});

test("a document is read to segments or to Markdown, and the second time from the cache", async () => {
  const id = await upload("# 合同\n\n付款条款：三十天。\n", "合同.md");
  const first = (await (await post("/v1/documents", { file_id: id })).json()) as {
    from_cache: boolean;
    document: { pages: { segments: { kind: string }[] }[] };
  };
  assert.equal(first.from_cache, false);
  assert.deepEqual(
    first.document.pages[0]?.segments.map(({ kind }) => kind),
    ["heading", "paragraph"],
  );
  const second = (await (await post("/v1/documents", { file_id: id, format: "markdown" })).json()) as {
    from_cache: boolean;
    markdown: string;
  };
  assert.equal(second.from_cache, true);
  assert.match(second.markdown, /# 合同\n\n付款条款：三十天。/);
});

test("a file that cannot be read is refused with a sentence that names it", async () => {
  const id = await upload("%PDF-1.7 and then nothing of the sort", "broken.pdf");
  const response = await post("/v1/documents", { file_id: id });
  const { error } = (await response.json()) as { error: { message: string } };
  assert.ok(response.status >= 400 && response.status < 500, `status ${response.status}`);
  assert.match(error.message, /broken\.pdf/);
});

test("the flagship analysis: computed figures, and no number of the model's that the facts do not have", async () => {
  const id = await upload(workbook, "sales.xlsx");
  const response = await post("/v1/analysis", { file_id: id, ...flagship });
  const analysis = (await response.json()) as Analysis;
  assert.equal(response.status, 200, JSON.stringify(analysis));
  const text = analysis.sentences.map((sentence) => sentence.text).join("");
  assert.match(text, /23\s*%/);
  assert.match(JSON.stringify(analysis.facts), /小米 14 系列[^}]*68\s*%/);
  assert.doesNotMatch(text, /99/);
  assert.equal(analysis.charts.length, 1);
});

test("a streamed analysis gives figures and chart before the sentences, and ends in done", async () => {
  const form = new FormData();
  form.set("file", new File([workbook as Uint8Array<ArrayBuffer>], "sales.xlsx"));
  form.set("plan", JSON.stringify(flagship.plan));
  form.set("stream", "true");
  const response = await post("/v1/analysis", form);
  const types = [...(await response.text()).matchAll(/^data: \{"type":"(\w+)"/gm)].map((match) => match[1]);
  assert.deepEqual([...new Set(types)], ["tables", "quality", "plan", "facts", "chart", "sentence", "done"]);
});

test("a plan that names what is not in the table is refused with what is", async () => {
  const id = await upload(workbook, "sales.xlsx");
  const response = await post("/v1/analysis", { file_id: id, plan: { metric: "利润率" } });
  const { error } = (await response.json()) as { error: { message: string; hint: string } };
  assert.equal(response.status, 400);
  assert.match(`${error.message}${error.hint}`, /利润率[\s\S]*销售额/);
});

test("rows in JSON are analysed like a file", async () => {
  const rows = [
    ["区域", "销售额"],
    ["华东", 300],
    ["华南", 100],
    ["华北", 100],
  ];
  const response = await post("/v1/analysis", {
    rows,
    plan: { kind: "ranking", metric: "销售额", breakdown: ["区域"] },
    narrate: false,
  });
  const analysis = (await response.json()) as Analysis;
  assert.match(analysis.sentences.map((sentence) => sentence.text).join(""), /华东[\s\S]*60\s*%/);
});

test("an analysis becomes slides, a workbook and a post; any answer becomes a document", async () => {
  const id = await upload(workbook, "sales.xlsx");
  const analysis = await (await post("/v1/analysis", { file_id: id, ...flagship, narrate: false })).json();
  for (const format of ["pptx", "xlsx", "docx"]) {
    const response = await post("/v1/deliverables", { analysis, format, file_id: id });
    const bytes = new Uint8Array(await response.arrayBuffer());
    assert.equal(response.status, 200);
    assert.deepEqual([...bytes.subarray(0, 2)], [0x50, 0x4b], `${format} is no ZIP container`);
    assert.match(response.headers.get("content-disposition") ?? "", new RegExp(`\\.${format}"`));
  }
  const report = await post("/v1/deliverables", { markdown: "# 标题\n\n正文。", format: "docx" });
  assert.equal(report.status, 200);
  const neither = await post("/v1/deliverables", { format: "pptx" });
  assert.equal(neither.status, 400);
});

test("more workbooks at once than are kept open are all analysed to their end", async () => {
  const files = await Promise.all([1, 2, 3].map((seed) => makeSalesWorkbook(makeSalesRows(seed, 600))));
  await using few = new OfficeDoor({ files: workspace.files, dataFolder, mostWorkbooks: 1 });
  const stored = files.map((bytes, index) =>
    workspace.files.add(bytes, { name: `s${index}.xlsx`, mediaType: "application/octet-stream" }),
  );
  const analysed = await Promise.all(
    [...stored, ...stored].map(async (file) => {
      using workbook = await few.workbook(file);
      let last = "";
      for await (const { type } of workbook.opened.analyse({ plan: { kind: "ranking", metric: "销售额" } }))
        last = type;
      return last;
    }),
  );
  assert.deepEqual(new Set(analysed), new Set(["done"]));
});

const page = `<html><body><h2>门店销售（单位：万元）</h2><table>
<tr><th rowspan="2">门店</th><th colspan="2">销售额</th></tr><tr><th>6月</th><th>7月</th></tr>
<tr><td>一店</td><td>1,000</td><td>1,200</td></tr><tr><td>二店</td><td>800</td><td>(50)</td></tr>
<tr><td>合计</td><td>1,800</td><td>1,150</td></tr></table></body></html>`;

test("a table in a document is analysed like a sheet", async () => {
  const fileId = await upload(page, "report.html");
  const response = await post("/v1/analysis", {
    file_id: fileId,
    plan: { kind: "change", breakdown: ["门店"] },
    language: "zh",
    narrate: false,
  });
  const analysis = (await response.json()) as Analysis;
  assert.equal(response.status, 200, JSON.stringify(analysis));
  assert.match(analysis.sentences[0]?.text ?? "", /^7月，销售额环比下降36\.1%，本期为1,150/);
  assert.deepEqual([analysis.reconciliation.status, analysis.table.name], ["matches", "门店销售（单位：万元）"]);
});

test("a document without a table says so", async () => {
  const response = await post("/v1/analysis", { file_id: await upload("<p>没有表</p>", "a.html"), question: "总额" });
  assert.equal(response.status, 422);
  assert.match(JSON.stringify(await response.json()), /No table was found in a\.html/);
});

test("a decision of reading is shown, can be overruled, and what is overruled wrongly is refused", async () => {
  const fileId = await upload("店,年度,额\n甲,2024,1\n乙,2025,2\n", "a.csv");
  const tablesWith = async (overrides: object): Promise<Response> =>
    app.request(`/v1/files/${fileId}/tables?overrides=${encodeURIComponent(JSON.stringify(overrides))}`);
  const typeOf = async (response: Response): Promise<(string | undefined)[]> => {
    const { tables } = (await response.json()) as { tables: Analysis["table"][] };
    const column = tables[0]?.columns.find(({ name }) => name === "年度");
    return [column?.type, column?.unit, column?.decisions.at(-1)?.en];
  };
  assert.deepEqual(await typeOf(await app.request(`/v1/files/${fileId}/tables`)), [
    "period",
    "",
    "named as a year, with values from 1900 to 2200",
  ]);
  const overrides = { t0: { 年度: { type: "number", unit: "万元" } } };
  assert.deepEqual(await typeOf(await tablesWith(overrides)), ["number", "万元", "unit as you set it"]);
  const analysis = (await (
    await post("/v1/analysis", { file_id: fileId, overrides, plan: { metric: "年度", kind: "total" }, narrate: false })
  ).json()) as Analysis;
  assert.equal(analysis.result.kind === "total" ? analysis.result.value : 0, 4049);
  assert.equal((await tablesWith({ t0: { 年度: { type: "colour" } } })).status, 400);
  assert.equal((await tablesWith({ t0: { 年度: { width: 3 } } })).status, 400);
});

test("reading a workbook tells its stages", async () => {
  const fileId = await upload(workbook, "stages.xlsx");
  const text = await (await app.request(`/v1/files/${fileId}/tables?stream=true`)).text();
  assert.match(text, /"type":"progress","stage":"(read|type|load|check)"/);
  assert.match(text, /"type":"tables","name":"stages\.xlsx"/);
});

test("a file may be larger than a JSON body may, up to the limit of uploads; then both numbers are said", async () => {
  await using narrow = openTestApp({
    office,
    checkHost: false,
    limits: { bodyBytes: 1000, uploadBytes: 5000, perKey: 4 },
  });
  const send = async (bytes: number): Promise<Response> => {
    const form = new FormData();
    form.set("file", new File(["x".repeat(bytes)], "a.txt"));
    const packed = new Response(form);
    const type = packed.headers.get("content-type") ?? "";
    const body = await packed.arrayBuffer();
    return narrow.app.request("/v1/files", { method: "POST", body, headers: { "content-type": type } });
  };
  assert.equal((await send(4000)).status, 200);
  const refused = await send(80_000);
  const { error } = (await refused.json()) as { error: { code: string; message: string; hint: string } };
  assert.deepEqual([refused.status, error.code], [413, "too_large"]);
  assert.match(error.message, /\d+ bytes or more; 70536 are the most/);
  assert.match(error.hint, /--upload-limit/);
  const json = await narrow.post("/v1/documents", { file_id: "x".repeat(2000) });
  assert.equal(json.status, 413);
});

test("the picture of an encrypted file's page is for who knows the password, also once it was made", async () => {
  const id = await upload(Buffer.from(encryptedPdf), "secret.pdf");
  const picture = (headers: Record<string, string> = {}) =>
    app.request(`/v1/files/${id}/pages/1?pixels=100`, { headers });
  assert.equal((await picture()).status, 401);
  assert.equal((await picture({ "quern-password": "geheim" })).status, 200);
  assert.equal((await picture()).status, 401);
  assert.equal((await picture({ "quern-password": "falsch" })).status, 403);
  assert.equal((await picture({ "quern-password": "100%" })).status, 400);
});

test("over a connection a document leaves in pieces, whole, with the headers of every answer", async () => {
  const id = await upload(`${"段落。\n\n".repeat(3000)}`, "long.txt");
  const listening = await listen(app, { host: "127.0.0.1", port: 0 });
  try {
    const response = await fetch(`${listening.url}/v1/documents`, {
      method: "POST",
      body: JSON.stringify({ file_id: id }),
      headers: { "content-type": "application/json", "x-request-id": "piecewise-1" },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-request-id"), "piecewise-1");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    const { document } = (await response.json()) as { document: { text: string; pages: { segments: unknown[] }[] } };
    assert.equal(document.pages.flatMap(({ segments }) => segments).length, 3000);
  } finally {
    await listening.close();
  }
});
