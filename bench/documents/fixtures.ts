// Pages with known text for the bench: HTML laid out and printed by Chromium (a text-layer PDF), the same PDF rendered to images at a
// resolution, optionally with noise and skew. Chromium and a CJK font must be there; `whyNot` says what is missing.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { openPdf, type RasterImage } from "../../src/documents/pdfium.ts";

const run = promisify(execFile);
const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

export async function whyNot(): Promise<string | undefined> {
  if (!chromium) return "Chromium is not installed";
  const { stdout } = await run("fc-list", [":lang=zh", "family"]).catch(() => ({ stdout: "" }));
  return stdout.trim() === "" ? "no Chinese font is installed" : undefined;
}

export async function printPdf(html: string): Promise<Uint8Array> {
  const folder = await mkdtemp(path.join(tmpdir(), "quern-bench-"));
  try {
    await writeFile(path.join(folder, "page.html"), html);
    const out = path.join(folder, "page.pdf");
    await run(chromium ?? "chromium", [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--no-pdf-header-footer",
      `--print-to-pdf=${out}`,
      path.join(folder, "page.html"),
    ]);
    return await readFile(out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function rasterise(pdf: Uint8Array, dpi: number): Promise<RasterImage[]> {
  using file = await openPdf(pdf, { name: "bench.pdf" });
  return Array.from({ length: file.pageCount }, (_, index) => file.renderPage(index, dpi / 72));
}

/** Grey noise, a slight blur, JPEG at 60 and a rotation, as a bad scanner does. */
export async function roughened(
  image: RasterImage,
  { skew, noise, seed }: { skew: number; noise: number; seed: number },
): Promise<RasterImage> {
  const random = generator(seed);
  const data = Uint8Array.from(image.data);
  for (let pixel = 0; pixel < data.length; pixel += 3) {
    const change = (random() + random() + random() - 1.5) * noise * 2;
    for (let channel = 0; channel < 3; channel++)
      data[pixel + channel] = Math.max(0, Math.min(255, (data[pixel + channel] ?? 0) * 0.94 + change));
  }
  const jpeg = await sharp(data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .rotate(skew, { background: "#f0f0f0" })
    .blur(0.6)
    .jpeg({ quality: 60 })
    .toBuffer();
  const { data: rough, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: rough };
}

export function png(image: RasterImage): Promise<Buffer> {
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .png({ compressionLevel: 3 })
    .toBuffer();
}

export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sentences = [
  "公司在华东地区的手机业务持续增长，主要来自渠道扩张与新品上市。",
  "本季度营业收入为人民币1,234.5万元，同比增长12.6%，环比下降3.1%。",
  "The committee approved the annual budget after a long discussion.",
  "研发费用占收入的比例由上年的8.4%提高到9.7%，重点投入芯片与操作系统。",
  "Customers in the northern region asked for faster delivery and better support.",
  "双方应在合同签订之日起三十日内完成首期款项的支付。",
  "如发生争议，任何一方均可向合同签订地的人民法院提起诉讼。",
  "The warranty period is twenty-four months from the date of delivery.",
  "原材料价格上涨对毛利率产生了一定影响，但整体仍处于可控范围。",
  "董事会建议派发末期股息每股0.25元，待股东大会批准后实施。",
  "Revenue from cloud services rose to 45.2 million, up from 38.9 million last year.",
  "项目组将于2025年11月30日前提交最终报告，并附全部测试数据。",
  "市场份额从百分之十八上升到百分之二十一，居行业第二位。",
  "Please contact the project office at extension 4071 for further information.",
  "存货周转天数由四十五天缩短至三十八天，现金流明显改善。",
  "审计师出具了标准无保留意见的审计报告。",
];

export interface KnownPage {
  html: string;
  /** The body's text, in reading order. */
  text: string;
}

export function prose(random: () => number, count: number): string {
  return Array.from({ length: count }, () => sentences[Math.floor(random() * sentences.length)] ?? "").join("");
}

const style = `@page{size:A4;margin:0} body{margin:0;font:10.5pt/1.6 'Noto Sans CJK SC','Noto Sans SC',sans-serif} .page{width:210mm;height:296.5mm;box-sizing:border-box;padding:25mm 20mm;page-break-after:always;position:relative;overflow:hidden} h2{font-size:16pt;margin:0 0 4mm} p{margin:0 0 3mm;text-align:justify} .head{position:absolute;top:11mm;left:20mm;right:20mm;font-size:8.5pt;color:#555} .foot{position:absolute;bottom:10mm;left:20mm;right:20mm;text-align:center;font-size:8.5pt} .cols{column-count:2;column-gap:9mm;column-fill:auto;height:205mm} table{border-collapse:collapse;margin:4mm 0;font-size:10pt} td,th{border:1px solid #444;padding:1.2mm 3mm} table.pale td,table.pale th{border:1px solid #ccc} table.bare td,table.bare th{border:none} th{background:#eee}`;

export function htmlOf(pages: readonly string[]): string {
  return `<!doctype html><meta charset="utf-8"><style>${style}</style>${pages.map((page) => `<div class="page">${page}</div>`).join("")}`;
}

export function oneColumnPage(random: () => number, number: number): KnownPage {
  const heading = `第${number}节 经营情况说明`;
  const paragraphs = Array.from({ length: 6 }, () => prose(random, 6));
  return {
    html: `<h2>${heading}</h2>${paragraphs.map((text) => `<p>${text}</p>`).join("")}`,
    text: [heading, ...paragraphs].join(""),
  };
}

export function twoColumnPage(random: () => number, number: number): KnownPage {
  const heading = `Report ${number} 双栏版面阅读顺序`;
  const paragraphs = Array.from({ length: 11 }, (_, index) => `${number}.${index}甲。${prose(random, 3)}`);
  return {
    html: `<h2>${heading}</h2><div class="cols">${paragraphs.map((text) => `<p>${text}</p>`).join("")}</div>`,
    text: [heading, ...paragraphs].join(""),
  };
}

export interface KnownTable {
  html: string;
  /** rows × columns */
  cells: string[][];
}

const regions = ["华东", "华南", "华北", "西南", "North", "South", "East Asia", "Europe"];
const goods = ["手机", "平板电脑", "笔记本", "耳机", "Router", "Watch", "显示器", "打印机"];

export function knownTable(random: () => number, kind: "" | "pale" | "bare"): KnownTable {
  const columns = 3 + Math.floor(random() * 3);
  const rows = 4 + Math.floor(random() * 6);
  const heads = ["区域", "产品", "销量", "收入(万元)", "同比"].slice(0, columns);
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? "";
  const cells = [
    heads,
    ...Array.from({ length: rows }, () =>
      [
        pick(regions),
        pick(goods),
        String(Math.floor(random() * 9000) + 10),
        (random() * 9000).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
        `${(random() * 40 - 10).toFixed(1)}%`,
      ].slice(0, columns),
    ),
  ];
  const html = `<table class="${kind}">${cells.map((row, index) => `<tr>${row.map((text) => (index === 0 ? `<th>${text}</th>` : `<td>${text}</td>`)).join("")}</tr>`).join("")}</table>`;
  return { html, cells };
}
