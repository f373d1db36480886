import {
  AlignmentType,
  BorderStyle,
  Document,
  Footer,
  HeadingLevel,
  ImageRun,
  Packer,
  PageNumber,
  Paragraph,
  ShadingType,
  Table,
  TableCell,
  TableRow,
  TextRun,
  WidthType,
} from "docx";
import { chartPng } from "../analysis/chart-image.ts";
import { clean } from "./neutral.ts";
import type { Report, ReportTable } from "./report.ts";

const headingLevels = [HeadingLevel.HEADING_1, HeadingLevel.HEADING_2, HeadingLevel.HEADING_3, HeadingLevel.HEADING_4];

/** A report as a Word document: headings, sentences, chart as a picture, table, and the source of every figure at the end. */
export async function docxBytes({ title, subtitle, sections, charts, sources, language }: Report): Promise<Uint8Array> {
  const children: (Paragraph | Table)[] = [
    new Paragraph({ text: clean(title), heading: HeadingLevel.TITLE }),
    ...(subtitle === ""
      ? []
      : [
          new Paragraph({
            children: [new TextRun({ text: clean(subtitle), color: "6B7280" })],
            spacing: { after: 240 },
          }),
        ]),
  ];
  for (const [index, section] of sections.entries()) {
    if (section.heading !== "")
      children.push(
        new Paragraph({
          text: clean(section.heading),
          heading: headingLevels[Math.min(3, section.level - 1)] ?? HeadingLevel.HEADING_1,
        }),
      );
    children.push(
      ...section.paragraphs.map((text) => new Paragraph({ text: clean(text), spacing: { after: 160, line: 340 } })),
    );
    children.push(
      ...section.bullets.map(
        (text) => new Paragraph({ text: clean(text), bullet: { level: 0 }, spacing: { after: 100, line: 320 } }),
      ),
    );
    if (section.table !== undefined) children.push(tableOf(section.table), new Paragraph({ text: "" }));
    if (index === 0) {
      for (const chart of charts) {
        const data = await chartPng(chart, { width: 960, height: 500, theme: "light" });
        children.push(
          new Paragraph({
            alignment: AlignmentType.CENTER,
            children: [
              new ImageRun({
                type: "png",
                data,
                transformation: { width: 600, height: 312 },
                altText: { name: clean(chart.title), title: clean(chart.title), description: clean(chart.title) },
              }),
            ],
          }),
        );
      }
    }
  }
  if (sources.length > 0) {
    children.push(new Paragraph({ text: language === "zh" ? "数据来源" : "Source", heading: HeadingLevel.HEADING_1 }));
    children.push(
      ...sources.map(
        (source) =>
          new Paragraph({
            children: [new TextRun({ text: clean(source), size: 18, color: "6B7280" })],
            spacing: { after: 60 },
          }),
      ),
    );
  }
  const font = { ascii: "Calibri", hAnsi: "Calibri", eastAsia: "Microsoft YaHei" };
  const document = new Document({
    title: clean(title),
    creator: "Quern",
    styles: {
      default: {
        document: { run: { font, size: 22 } },
        heading1: {
          run: { font, size: 30, bold: true, color: "1F2937" },
          paragraph: { spacing: { before: 320, after: 140 }, keepNext: true },
        },
        title: { run: { font, size: 40, bold: true, color: "1F2937" } },
      },
    },
    sections: [
      {
        children,
        footers: {
          default: new Footer({
            children: [
              new Paragraph({
                alignment: AlignmentType.CENTER,
                children: [
                  new TextRun({
                    children: [PageNumber.CURRENT, " / ", PageNumber.TOTAL_PAGES],
                    size: 18,
                    color: "6B7280",
                  }),
                ],
              }),
            ],
          }),
        },
      },
    ],
  });
  return new Uint8Array(await Packer.toBuffer(document));
}

function tableOf({ header, rows }: ReportTable): Table {
  const border = { style: BorderStyle.SINGLE, size: 4, color: "D8DEE4" };
  // Half points: many columns get smaller letters, so that no number is broken in two.
  const size = header.length > 9 ? 14 : header.length > 6 ? 17 : 20;
  const borders = { top: border, bottom: border, left: border, right: border };
  const cell = (value: string | number, index: number, isHead: boolean): TableCell =>
    new TableCell({
      borders,
      margins: { top: 60, bottom: 60, left: header.length > 6 ? 50 : 100, right: header.length > 6 ? 50 : 100 },
      ...(isHead ? { shading: { type: ShadingType.CLEAR, fill: "EEF3F7", color: "auto" } } : {}),
      children: [
        new Paragraph({
          alignment: index === 0 ? AlignmentType.LEFT : AlignmentType.RIGHT,
          children: [
            new TextRun({
              text:
                typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : clean(value),
              bold: isHead,
              size,
            }),
          ],
        }),
      ],
    });
  return new Table({
    width: { size: 100, type: WidthType.PERCENTAGE },
    rows: [
      new TableRow({ tableHeader: true, children: header.map((value, index) => cell(value, index, true)) }),
      ...rows.map(
        (row) => new TableRow({ cantSplit: true, children: row.map((value, index) => cell(value, index, false)) }),
      ),
    ],
  });
}
