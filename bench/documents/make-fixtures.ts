// Makes the images that the recognition tests read (test/documents/images): `node bench/documents/make-fixtures.ts`. Needs Chromium and a
// Chinese font; the tests need neither.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { prepareZXingModule, writeBarcode } from "zxing-wasm/writer";
import { htmlOf, printPdf, rasterise, roughened, whyNot } from "./fixtures.ts";

const missing = await whyNot();
if (missing !== undefined) throw new Error(missing);
const folder = path.join(import.meta.dirname, "../../test/documents/images");
await mkdir(folder, { recursive: true });

const table = `<p>销售汇总 Sales summary</p><table class="pale"><tr><th>区域</th><th>产品</th><th>收入</th></tr><tr><td rowspan="2">华东</td><td>手机</td><td>1,234.50</td></tr><tr><td>耳机</td><td>88.00</td></tr><tr><td>North</td><td>Router</td><td>560.25</td></tr></table>`;
const [screen] = await rasterise(await printPdf(htmlOf([table])), 120);
if (!screen) throw new Error("no page");
const wasm = await readFile(fileURLToPath(import.meta.resolve("zxing-wasm/writer/zxing_writer.wasm")));
prepareZXingModule({
  overrides: { wasmBinary: wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength) as ArrayBuffer },
});
const { svg } = await writeBarcode("https://example.com/contract/42", { format: "QRCode", scale: 3 });
await sharp(screen.data, { raw: { width: screen.width, height: screen.height, channels: 3 } })
  .extract({ left: 60, top: 100, width: 640, height: 330 })
  .composite([{ input: Buffer.from(svg ?? ""), left: 500, top: 20 }])
  .png({ palette: true, colours: 32 })
  .toFile(path.join(folder, "table-screenshot.png"));

const letter =
  "<h2>付款通知</h2><p>请贵司于2025年11月30日前支付合同尾款，共计人民币45,600元。</p><p>The final payment is due before the end of November.</p><p>如有疑问，请联系财务部王女士。</p>";
const [page] = await rasterise(await printPdf(htmlOf([letter])), 150);
if (!page) throw new Error("no page");
const height = 620;
const top = { width: page.width, height, data: page.data.subarray(0, page.width * height * 3) };
const rough = await roughened(top, { skew: 2, noise: 20, seed: 3 });
await writeFile(
  path.join(folder, "scan-on-its-side.jpg"),
  await sharp(rough.data, { raw: { width: rough.width, height: rough.height, channels: 3 } })
    .rotate(90)
    .greyscale()
    .jpeg({ quality: 55 })
    .toBuffer(),
);

const cells = [
  ["主机", "状态", "CPU", "备注"],
  ["node-01", "运行中", "34.5%", "主节点"],
  ["node-02", "运行中", "71.2%", ""],
  ["node-03", "已停止", "0.0%", "等待更换硬盘"],
];
const rows = cells.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("");
const dark = `<!doctype html><meta charset="utf-8"><style>@page{size:150mm 60mm;margin:0} html,body{background:#1e1e1e;-webkit-print-color-adjust:exact} body{margin:6mm;font:10.5pt/1.4 'Noto Sans CJK SC';color:#ddd} td{padding:1.6mm 5mm 1.6mm 0} tr:first-child{color:#9cdcfe}</style><table>${rows}</table>`;
const [night] = await rasterise(await printPdf(dark), 110);
if (!night) throw new Error("no page");
const code = await writeBarcode("付款码：南京明德 3200000 元\nhttps://例子.测试/合同?编号=42", {
  format: "QRCode",
  scale: 3,
});
const pictures = sharp(night.data, { raw: { width: night.width, height: night.height, channels: 3 } });
await pictures
  .extend({ bottom: 200, background: "#ffffff" })
  .composite([{ input: Buffer.from(code.svg ?? ""), left: 40, top: night.height + 20 }])
  .webp({ quality: 60 })
  .toFile(path.join(folder, "dark-table-and-code.webp"));
