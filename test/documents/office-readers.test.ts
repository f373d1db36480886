// What the readers make of good DOCX, XLSX and PPTX files.
import assert from "node:assert/strict";
import test from "node:test";
import { restore } from "../../src/documents/clean.ts";
import { type Document, type Segment, segmentsOf } from "../../src/documents/document.ts";
import { readDocument } from "../../src/documents/read.ts";
import { makeDocx, makeXlsx, makeZip, paragraphXml } from "./fixtures.ts";

function read(name: string, content: Uint8Array | string): Promise<Document> {
  return readDocument({ bytes: typeof content === "string" ? Buffer.from(content) : content }, { name, ocr: false });
}

function tableOf(document: Document): Extract<Segment, { kind: "table" }> {
  const table = segmentsOf(document).find((segment) => segment.kind === "table");
  assert.ok(table, "no table found");
  return table;
}

const cellTexts = (table: Extract<Segment, { kind: "table" }>): string[] =>
  table.cells.map((cell) => `${cell.row},${cell.column} ${cell.text}`);

test("DOCX: headings, paragraphs and tables", async () => {
  const cell = (text: string): string => `<w:tc>${paragraphXml(text)}</w:tc>`;
  const document = await read(
    "a.docx",
    makeDocx(
      `${paragraphXml("总则", "Heading1")}${paragraphXml("正文")}<w:tbl><w:tr>${cell("甲")}${cell("乙")}</w:tr><w:tr>${cell("1")}${cell("2")}</w:tr></w:tbl>`,
    ),
  );
  assert.deepEqual(
    segmentsOf(document).map((segment) => segment.kind),
    ["heading", "paragraph", "table"],
  );
  assert.deepEqual(cellTexts(tableOf(document)), ["0,0 甲", "0,1 乙", "1,0 1", "1,1 2"]);
});

test("XLSX: addresses, cached values, and formulas without a value are shown and said", async () => {
  const document = await read(
    "a.xlsx",
    makeXlsx(
      '<row r="1"><c r="A1" t="inlineStr"><is><t>区域</t></is></c><c r="C1"><v>0.30000000000000004</v></c></row><row r="4"><c r="A4"><f>SUM(C1:C3)</f></c><c r="C4"><f>C1*2</f><v>3</v></c></row>',
    ),
  );
  const table = tableOf(document);
  assert.deepEqual(
    table.cells.map((cell) => [cell.address, cell.text]),
    [
      ["A1", "区域"],
      ["C1", "0.3"],
      ["A4", "=SUM(C1:C3)"],
      ["C4", "3"],
    ],
  );
  assert.equal(document.pages[0]?.name, "销售");
  assert.equal(document.warnings[0]?.code, "no_cached_values");
});

test("two cells at the far corners of a sheet do not make a huge grid", async () => {
  const document = await read(
    "a.xlsx",
    makeXlsx('<row r="1"><c r="A1"><v>1</v></c></row><row r="2500"><c r="ZZ2500"><v>2</v></c></row>'),
  );
  assert.deepEqual(
    tableOf(document).cells.map((cell) => [cell.address, cell.text]),
    [
      ["A1", "1"],
      ["ZZ2500", "2"],
    ],
  );
});

test("PPTX: slides in order with titles, lists, tables, chart figures and notes", async () => {
  const { default: PptxGenJS } = await import("pptxgenjs");
  const deck = new (PptxGenJS as unknown as new () => import("pptxgenjs").default)();
  const slide = deck.addSlide();
  slide.addText(
    [
      { text: "要点一", options: { bullet: true } },
      { text: "要点二", options: { bullet: true } },
    ],
    { x: 1, y: 2, w: 5, h: 1 },
  );
  slide.addTable(
    [
      [{ text: "a" }, { text: "b" }],
      [{ text: "1" }, { text: "2" }],
    ],
    { x: 1, y: 4 },
  );
  slide.addText("季度回顾", { x: 1, y: 0.3, w: 8, h: 1 });
  slide.addChart(deck.ChartType.bar, [{ name: "收入", labels: ["Q1", "Q2"], values: [1, 2] }], {
    x: 6,
    y: 2,
    w: 3,
    h: 2,
  });
  slide.addNotes("讲稿");
  deck.addSlide().addText("第二页", { x: 1, y: 1 });
  const document = await read("a.pptx", (await deck.write({ outputType: "uint8array" })) as Uint8Array);
  const text = document.text;
  assert.equal(document.pages.length, 2);
  assert.ok(
    text.indexOf("季度回顾") < text.indexOf("- 要点一") && text.indexOf("- 要点一") < text.indexOf("| a | b |"),
  );
  assert.ok(text.includes("| Q2 | 2 |") && text.includes("> 讲稿") && text.includes("第二页"));
});

test("SmartArt of slides and Word files is read as a list of its points, a chart in Word as its figures", async () => {
  const point = (text: string): string =>
    `<dgm:pt><dgm:t><a:p><a:r><a:t>${text.slice(0, 1)}</a:t></a:r><a:r><a:t>${text.slice(1)}</a:t></a:r></a:p></dgm:t></dgm:pt>`;
  const diagram = `<dgm:dataModel><dgm:ptLst>${point("立项")}<dgm:pt><dgm:t><a:p/></dgm:t></dgm:pt>${point("评审")}</dgm:ptLst></dgm:dataModel>`;
  const deck = makeZip({
    "ppt/presentation.xml": "<p:presentation/>",
    "ppt/slides/slide1.xml": "<p:sld><p:sp><a:p><a:r><a:t>流程</a:t></a:r></a:p></p:sp></p:sld>",
    "ppt/slides/_rels/slide1.xml.rels":
      '<Relationships><Relationship Id="r1" Target="../diagrams/data1.xml"/></Relationships>',
    "ppt/diagrams/data1.xml": diagram,
  });
  assert.ok((await read("a.pptx", deck)).text.includes("流程\n\n- 立项\n- 评审"));
  const chart =
    "<c:ser><c:tx><c:v>收入</c:v></c:tx><c:cat><c:v>Q1</c:v><c:v>Q2</c:v></c:cat><c:val><c:v>1</c:v><c:v>2</c:v></c:val></c:ser>";
  const extra = { "word/diagrams/data1.xml": diagram, "word/charts/chart1.xml": chart };
  const { text } = await read("a.docx", makeDocx(paragraphXml("流程"), { extra }));
  assert.ok(text.includes("流程\n\n- 立项\n- 评审") && text.includes("| Q2 | 2 |"), text);
});

test("DOCX: clause numbers that Word counts, formulas and comments are kept", async () => {
  const clause = (text: string): string =>
    `<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr><w:r><w:t>${text}</w:t></w:r></w:p>`;
  const formula =
    '<w:p><m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>';
  const body = `${clause("付款")}${paragraphXml("中间的一段")}${clause("交货")}${formula}`;
  const numbering =
    '<w:numbering xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="chineseCounting"/><w:lvlText w:val="第%1条"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>';
  const comments =
    '<w:comments xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:comment w:id="0" w:author="A" w:initials="A"><w:p><w:r><w:t>请核对</w:t></w:r></w:p></w:comment></w:comments>';
  const commented = `${body}<w:p><w:r><w:t>尾款</w:t></w:r><w:r><w:commentReference w:id="0"/></w:r></w:p>`;
  const extra = { "word/numbering.xml": numbering, "word/comments.xml": comments };
  const document = await read("a.docx", makeDocx(commented, { extra }));
  assert.ok(!document.text.includes("↑"), document.text);
  for (const wanted of ["第一条 付款", "第二条 交货", "c^2", "尾款[A1]", "请核对"])
    assert.ok(document.text.includes(wanted), `${wanted} is missing in ${document.text}`);
});

test("DOCX: running heads are kept as removed, can be put back, and stay when nothing is to be cleaned", async () => {
  const head =
    '<w:hdr xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:p><w:r><w:t>合同编号 HT-42</w:t></w:r></w:p></w:hdr>';
  const pageNumber = head.replace("合同编号 HT-42", "1");
  const bytes = makeDocx(paragraphXml("正文"), {
    extra: { "word/header1.xml": head, "word/header2.xml": head, "word/footer1.xml": pageNumber },
  });
  const document = await read("a.docx", bytes);
  assert.equal(document.text.trim(), "正文");
  assert.deepEqual(
    segmentsOf(document).map((segment) => segment.removed),
    ["running_header", undefined],
  );
  assert.ok(restore(document, { page: 1, segment: 0 }).text.includes("HT-42"));
  const whole = await readDocument({ bytes }, { name: "a.docx", clean: false });
  assert.ok(whole.text.includes("合同编号 HT-42"));
});
