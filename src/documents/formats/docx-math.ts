// Formulas of Word (OMML) written on one line, as people type them: E=mc^2, (a+b)/(2), √(x). mammoth leaves formulas out.
import { attribute, replaceElements, scanMarkup } from "./markup.ts";

interface MathNode {
  name: string;
  value: string | undefined;
  text: string;
  children: MathNode[];
}

/** word/document.xml with each formula as a run of text. */
export function withFormulas(document: string): string {
  if (!document.includes("<m:oMath")) return document;
  const inLine = replaceElements(document, "m:oMath", ({ inner }) => {
    const text = written(treeOf(inner)).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return `<w:r><w:t xml:space="preserve">${text}</w:t></w:r>`;
  });
  return replaceElements(inLine, "m:oMathPara", ({ inner }) => replaceElements(inner, "m:oMathParaPr", () => ""));
}

function treeOf(xml: string): MathNode {
  const root: MathNode = { name: "", value: undefined, text: "", children: [] };
  const open = [root];
  for (const event of scanMarkup(xml, { isXml: true })) {
    const parent = open.at(-1) ?? root;
    if (event.type === "open") {
      const node = { name: event.name, value: attribute(event.attributes, "m:val"), text: "", children: [] };
      parent.children.push(node);
      if (!event.isClosed && open.length < 200) open.push(node);
    } else if (event.type === "close") {
      if (open.length > 1 && parent.name === event.name) open.pop();
    } else parent.text += event.text;
  }
  return root;
}

function written(node: MathNode): string {
  const part = (name: string): string => {
    const found = node.children.find((child) => child.name === name);
    return found ? written(found) : "";
  };
  const parts = (name: string): string[] => node.children.filter((child) => child.name === name).map(written);
  const property = (list: string, name: string): string | undefined =>
    node.children.find((child) => child.name === list)?.children.find((child) => child.name === name)?.value;
  switch (node.name) {
    case "m:t":
    case "w:t":
      return node.text;
    case "m:sSup":
      return `${part("m:e")}^${grouped(part("m:sup"))}`;
    case "m:sSub":
      return `${part("m:e")}_${grouped(part("m:sub"))}`;
    case "m:sSubSup":
      return `${part("m:e")}_${grouped(part("m:sub"))}^${grouped(part("m:sup"))}`;
    case "m:f":
      return `${grouped(part("m:num"))}/${grouped(part("m:den"))}`;
    case "m:rad":
      return `${part("m:deg") === "" ? "" : grouped(part("m:deg"))}√${grouped(part("m:e"))}`;
    case "m:nary": {
      const [below, above] = [part("m:sub"), part("m:sup")];
      const sign = property("m:naryPr", "m:chr") ?? "∫";
      return `${sign}${below && `_${grouped(below)}`}${above && `^${grouped(above)}`} ${part("m:e")}`;
    }
    case "m:d":
      return `${property("m:dPr", "m:begChr") ?? "("}${parts("m:e").join(", ")}${property("m:dPr", "m:endChr") ?? ")"}`;
    case "m:limLow":
      return `${part("m:e")}_${grouped(part("m:lim"))} `;
    case "m:func":
      return `${part("m:fName").trim()} ${part("m:e")}`;
    case "m:m":
      return `[${parts("m:mr").join("; ")}]`;
    case "m:mr":
      return parts("m:e").join(", ");
    case "m:eqArr":
      return parts("m:e").join("; ");
    default:
      return node.name.endsWith("Pr") ? "" : node.children.map(written).join("");
  }
}

function grouped(text: string): string {
  return [...text].length > 1 ? `(${text})` : text;
}
