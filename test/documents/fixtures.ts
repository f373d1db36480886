// Small files of every kind, made in code. The PDF writer knows just enough: pages, Helvetica text at a place, lines, a picture, and the
// ways in which files are broken.
import { crc32, deflateRawSync } from "node:zlib";

export interface PdfText {
  text: string;
  x: number;
  /** From the top of the page. */
  y: number;
  size?: number;
  isBold?: boolean;
  /** Degrees counter-clockwise. */
  angle?: number;
  isInvisible?: boolean;
}

export interface PdfPageSpec {
  texts?: readonly PdfText[];
  /** x1, y1, x2, y2 from the top left. */
  lines?: readonly (readonly [number, number, number, number])[];
  /** JPEG bytes filling the page. */
  jpeg?: { bytes: Uint8Array; width: number; height: number };
  rotate?: number;
  /** Operators appended as they are. */
  raw?: string;
}

export const pageWidth = 595;
export const pageHeight = 842;

export function makePdf(
  pages: readonly PdfPageSpec[],
  { catalog = "", isLatinOnly = true }: { catalog?: string; isLatinOnly?: boolean } = {},
): Uint8Array {
  const objects: (string | Uint8Array)[] = [];
  const add = (body: string | Uint8Array): number => objects.push(body);
  const catalogId = add("");
  const treeId = add("");
  const regular = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>");
  const bold = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>");
  const kids: number[] = [];
  for (const page of pages) {
    const image = page.jpeg
      ? add(
          joinBytes([
            `<< /Type /XObject /Subtype /Image /Width ${page.jpeg.width} /Height ${page.jpeg.height} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode /Length ${page.jpeg.bytes.length} >>\nstream\n`,
            page.jpeg.bytes,
            "\nendstream",
          ]),
        )
      : 0;
    const content = contentOf(page, isLatinOnly);
    const stream = add(`<< /Length ${Buffer.byteLength(content, "latin1")} >>\nstream\n${content}\nendstream`);
    kids.push(
      add(
        `<< /Type /Page /Parent ${treeId} 0 R /MediaBox [0 0 ${pageWidth} ${pageHeight}]${page.rotate ? ` /Rotate ${page.rotate}` : ""} /Resources << /Font << /F1 ${regular} 0 R /F2 ${bold} 0 R >>${image ? ` /XObject << /Im ${image} 0 R >>` : ""} >> /Contents ${stream} 0 R >>`,
      ),
    );
  }
  objects[catalogId - 1] = `<< /Type /Catalog /Pages ${treeId} 0 R ${catalog} >>`;
  objects[treeId - 1] = `<< /Type /Pages /Count ${kids.length} /Kids [${kids.map((id) => `${id} 0 R`).join(" ")}] >>`;
  return assemblePdf(objects, `/Root ${catalogId} 0 R`);
}

function contentOf(page: PdfPageSpec, isLatinOnly: boolean): string {
  const parts: string[] = [];
  if (page.jpeg) parts.push(`q ${pageWidth} 0 0 ${pageHeight} 0 0 cm /Im Do Q`);
  for (const { text, x, y, size = 11, isBold = false, angle = 0, isInvisible = false } of page.texts ?? []) {
    const turn = (angle * Math.PI) / 180;
    const [cos, sin] = [Math.cos(turn).toFixed(5), Math.sin(turn).toFixed(5)];
    const shown = isLatinOnly ? text.replaceAll(/[\\()]/g, "\\$&") : text;
    parts.push(
      `BT /${isBold ? "F2" : "F1"} ${size} Tf ${isInvisible ? 3 : 0} Tr ${cos} ${sin} -${sin} ${cos} ${x} ${pageHeight - y} Tm (${shown}) Tj ET`,
    );
  }
  for (const [x1, y1, x2, y2] of page.lines ?? [])
    parts.push(`0.7 w ${x1} ${pageHeight - y1} m ${x2} ${pageHeight - y2} l S`);
  if (page.raw) parts.push(page.raw);
  return parts.join("\n");
}

function assemblePdf(objects: readonly (string | Uint8Array)[], trailer: string): Uint8Array {
  const parts: (string | Uint8Array)[] = ["%PDF-1.7\n"];
  let at = 9;
  const offsets: number[] = [];
  for (const [index, body] of objects.entries()) {
    offsets.push(at);
    const whole = joinBytes([`${index + 1} 0 obj\n`, body, "\nendobj\n"]);
    parts.push(whole);
    at += whole.length;
  }
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  parts.push(
    `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<< /Size ${objects.length + 1} ${trailer} >>\nstartxref\n${at}\n%%EOF\n`,
  );
  return joinBytes(parts);
}

export function joinBytes(parts: readonly (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
}

/** A ZIP of the given entries, with claims that need not be true. */
export function makeZip(
  entries: Readonly<Record<string, string | Uint8Array>>,
  { claimedBytes }: { claimedBytes?: number } = {},
): Uint8Array {
  const local: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(entries)) {
    const data = typeof content === "string" ? Buffer.from(content) : content;
    const packed = deflateRawSync(data);
    const nameBytes = Buffer.from(name);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(20, 4);
    head.writeUInt16LE(8, 8);
    head.writeUInt32LE(crc32(data), 14);
    head.writeUInt32LE(packed.length, 18);
    head.writeUInt32LE(claimedBytes ?? data.length, 22);
    head.writeUInt16LE(nameBytes.length, 26);
    local.push(head, nameBytes, packed);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(20, 4);
    entry.writeUInt16LE(20, 6);
    entry.writeUInt16LE(8, 10);
    entry.writeUInt32LE(crc32(data), 16);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(claimedBytes ?? data.length, 24);
    entry.writeUInt16LE(nameBytes.length, 28);
    entry.writeUInt32LE(offset, 42);
    central.push(entry, nameBytes);
    offset += 30 + nameBytes.length + packed.length;
  }
  const size = central.reduce((sum, part) => sum + part.length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  const count = Object.keys(entries).length;
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...local, ...central, end]);
}

const relationships = "http://schemas.openxmlformats.org/package/2006/relationships";
const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/** A DOCX whose body is the given WordprocessingML. */
export function makeDocx(
  body: string,
  { prolog = "", extra = {} }: { prolog?: string; extra?: Record<string, string | Uint8Array> } = {},
): Uint8Array {
  return makeZip({
    "[Content_Types].xml": `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
    "_rels/.rels": `<?xml version="1.0"?><Relationships xmlns="${relationships}"><Relationship Id="r1" Type="${office}/officeDocument" Target="word/document.xml"/></Relationships>`,
    "word/document.xml": `<?xml version="1.0"?>${prolog}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${body}</w:body></w:document>`,
    ...extra,
  });
}

export function paragraphXml(text: string, style = ""): string {
  return `<w:p>${style ? `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>` : ""}<w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;
}

/** An XLSX of one sheet, from SpreadsheetML rows. */
export function makeXlsx(rows: string, { dimension = "" }: { dimension?: string } = {}): Uint8Array {
  const main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
  return makeZip({
    "[Content_Types].xml": `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`,
    "_rels/.rels": `<?xml version="1.0"?><Relationships xmlns="${relationships}"><Relationship Id="r1" Type="${office}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
    "xl/_rels/workbook.xml.rels": `<?xml version="1.0"?><Relationships xmlns="${relationships}"><Relationship Id="s1" Type="${office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
    "xl/workbook.xml": `<?xml version="1.0"?><workbook xmlns="${main}" xmlns:r="${office}"><sheets><sheet name="销售" sheetId="1" r:id="s1"/></sheets></workbook>`,
    "xl/worksheets/sheet1.xml": `<?xml version="1.0"?><worksheet xmlns="${main}">${dimension}<sheetData>${rows}</sheetData></worksheet>`,
  });
}

/** A seeded generator of 0..1 (mulberry32): the same bytes on every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
