// The four templates of the first day. A template has typed fields and builds a prompt from them; an empty field leaves its line
// out. The wording is what the bundled quern-mini was trained on (models/quern-mini/recipe), so that they work on both models.
import type { TemperatureChoice } from "./conversation.ts";
import type { Language } from "./strings.ts";
import type { IconName } from "./ui/icons.tsx";

export type Localised = Readonly<Record<Language, string>>;

export interface TemplateField {
  id: string;
  kind: "line" | "text" | "choice";
  label: Localised;
  placeholder?: Localised;
  options?: readonly { id: string; label: Localised }[];
  isRequired?: boolean;
}

export type FieldValues = Readonly<Record<string, string>>;

export interface Template {
  id: string;
  icon: IconName;
  name: Localised;
  about: Localised;
  /** Taken when the conversation leaves the temperature to Quern; the demonstration model keeps its own. */
  temperature: TemperatureChoice;
  fields: readonly TemplateField[];
  /** The fields that tell one use from another, for the conversation's title. */
  titleFields: readonly string[];
  example: Readonly<Record<Language, FieldValues>>;
  build: (values: FieldValues, language: Language) => string;
}

const linesOf = (text = ""): string[] =>
  text
    .split("\n")
    .map((line) => line.replace(/^\s*(?:[-*•]|\d+[.)、])\s*/, "").trim())
    .filter((line) => line !== "");
const bullets = (text = ""): string =>
  linesOf(text)
    .map((line) => `- ${line}`)
    .join("\n");
const chosen = (field: TemplateField, values: FieldValues, language: Language): string =>
  (field.options?.find((option) => option.id === values[field.id]) ?? field.options?.[0])?.label[language] ?? "";

const reportKind: TemplateField = {
  id: "kind",
  kind: "choice",
  label: { zh: "种类", en: "Kind" },
  options: [
    { id: "week", label: { zh: "周报", en: "weekly report" } },
    { id: "month", label: { zh: "月报", en: "monthly report" } },
    { id: "day", label: { zh: "日报", en: "daily report" } },
  ],
};

const tone: TemplateField = {
  id: "tone",
  kind: "choice",
  label: { zh: "改成", en: "Make it" },
  options: [
    { id: "formal", label: { zh: "改得正式一点", en: "in a formal tone" } },
    { id: "professional", label: { zh: "改写得更专业", en: "in business English" } },
    { id: "polite", label: { zh: "改得更得体", en: "more politely" } },
  ],
};

const direction: TemplateField = {
  id: "direction",
  kind: "choice",
  label: { zh: "方向", en: "Direction" },
  options: [
    { id: "en", label: { zh: "中文 → 英文", en: "Chinese → English" } },
    { id: "zh", label: { zh: "英文 → 中文", en: "English → Chinese" } },
  ],
};

const comparison: TemplateField = {
  id: "comparison",
  kind: "choice",
  label: { zh: "比较", en: "Compared" },
  options: [
    { id: "year", label: { zh: "同比", en: "year on year" } },
    { id: "period", label: { zh: "环比", en: "period on period" } },
  ],
};

export const templates: readonly Template[] = [
  {
    id: "weekly-report",
    icon: "report",
    name: { zh: "写周报", en: "Weekly report" },
    about: { zh: "把零散要点整理成规范的周报", en: "Turn loose notes into a proper report" },
    temperature: "precise",
    titleFields: ["points"],
    fields: [
      reportKind,
      {
        id: "points",
        kind: "text",
        label: { zh: "要点，每行一条", en: "Notes, one a line" },
        placeholder: {
          zh: "完成了……\n正在做……\n风险：……\n下周……",
          en: "finished …\nworking on …\nrisk: …\nnext week: …",
        },
        isRequired: true,
      },
    ],
    example: {
      zh: {
        kind: "week",
        points:
          "完成了官网改版的需求评审，确认12条意见\n正在做会员系统接口联调，进度60%\n风险：测试环境不稳定，影响会员系统\n下周启动数据看板的原型设计",
      },
      en: {
        kind: "week",
        points:
          "finished the requirements review for the website redesign, covering 12 comments\nworking on the interface testing for the membership system\nrisk: the test environment is unstable, affects the membership system\nnext week: the prototype design for the data dashboard",
      },
    },
    build: (values, language) => {
      const kind = chosen(reportKind, values, language);
      return language === "zh"
        ? `请把下面的要点整理成一份正式的${kind}：\n${bullets(values.points)}`
        : `Please write my ${kind} from these notes:\n${bullets(values.points)}`;
    },
  },
  {
    id: "rewrite",
    icon: "pencil",
    name: { zh: "改文案", en: "Rewrite" },
    about: { zh: "让一段话更正式、更专业、更得体", en: "Make a text formal, professional or polite" },
    temperature: "creative",
    titleFields: ["text"],
    fields: [
      tone,
      {
        id: "text",
        kind: "text",
        label: { zh: "原文", en: "Text" },
        placeholder: { zh: "把要改的文字贴在这里", en: "Paste the text to rewrite" },
        isRequired: true,
      },
    ],
    example: {
      zh: { tone: "formal", text: "李敏说报价单还没弄好，得等到周五之前" },
      en: { tone: "formal", text: "hey, Emma Clark hasn't finished the quotation, maybe before Friday" },
    },
    build: (values, language) => {
      const how = chosen(tone, values, language);
      const text = (values.text ?? "").trim();
      return language === "zh" ? `请把下面这段话${how}：\n${text}` : `Please rewrite the following ${how}:\n${text}`;
    },
  },
  {
    id: "analyse",
    icon: "chart",
    name: { zh: "析数据", en: "Data findings" },
    about: { zh: "由算好的数字写出结论，数字照抄", en: "Write findings from computed figures" },
    temperature: "precise",
    titleFields: ["region", "category", "metric", "change"],
    fields: [
      {
        id: "region",
        kind: "line",
        label: { zh: "地区", en: "Region" },
        placeholder: { zh: "华东", en: "East China" },
      },
      {
        id: "category",
        kind: "line",
        label: { zh: "品类", en: "Category" },
        placeholder: { zh: "手机", en: "Phones" },
      },
      {
        id: "period",
        kind: "line",
        label: { zh: "周期", en: "Period" },
        placeholder: { zh: "2026年第3季度", en: "Q3 2026" },
      },
      { id: "metric", kind: "line", label: { zh: "指标", en: "Metric" }, placeholder: { zh: "销售额", en: "sales" } },
      comparison,
      {
        id: "change",
        kind: "line",
        label: { zh: "变化", en: "Change" },
        placeholder: { zh: "-12.5%", en: "-12.5%" },
        isRequired: true,
      },
      {
        id: "contributors",
        kind: "text",
        label: { zh: "主要贡献项，每行一条", en: "Top contributors, one a line" },
        placeholder: { zh: "线上商城：变化 -8.1%，贡献 64.8%", en: "online store: change -8.1%, contribution 64.8%" },
      },
    ],
    example: {
      zh: {
        region: "华东",
        category: "手机",
        period: "2026年第3季度",
        metric: "销售额",
        comparison: "year",
        change: "-12.5%",
        contributors: "线上商城：变化 -8.1%，贡献 64.8%\n经销商：变化 -3.2%，贡献 25.6%",
      },
      en: {
        region: "East China",
        category: "Phones",
        period: "Q3 2026",
        metric: "sales",
        comparison: "year",
        change: "-12.5%",
        contributors: "online store: change -8.1%, contribution 64.8%\ndealers: change -3.2%, contribution 25.6%",
      },
    },
    build: (values, language) => {
      const isChinese = language === "zh";
      const compared = chosen(comparison, values, language);
      const rows = [
        [isChinese ? "地区" : "Region", values.region],
        [isChinese ? "品类" : "Category", values.category],
        [isChinese ? "周期" : "Period", values.period],
        [isChinese ? "指标" : "Metric", values.metric],
        [isChinese ? `${compared}变化` : `Change ${compared}`, values.change],
      ].filter(([, value]) => value?.trim());
      const block = rows.map(([name, value]) => `${name}${isChinese ? "：" : ": "}${value?.trim()}`).join("\n");
      const contributors = bullets(values.contributors);
      const tail = contributors === "" ? "" : `\n${isChinese ? "主要贡献项：" : "Top contributors:"}\n${contributors}`;
      const ask = isChinese
        ? "请根据下面的数据写一段结论，数字必须原样照抄："
        : "Please write a short conclusion from the data below, copy every number exactly:";
      return `${ask}\n${block}${tail}`;
    },
  },
  {
    id: "translate",
    icon: "translate",
    name: { zh: "译文件", en: "Translate" },
    about: { zh: "中英互译，可带术语表", en: "Chinese and English, with a glossary" },
    temperature: "precise",
    titleFields: ["text"],
    fields: [
      direction,
      {
        id: "text",
        kind: "text",
        label: { zh: "原文", en: "Text" },
        placeholder: { zh: "把要翻译的文字贴在这里", en: "Paste the text to translate" },
        isRequired: true,
      },
      {
        id: "glossary",
        kind: "text",
        label: { zh: "术语表，每行一条（可不填）", en: "Glossary, one a line (optional)" },
        placeholder: { zh: "对账单=account statement", en: "对账单=account statement" },
      },
    ],
    example: {
      zh: { direction: "en", text: "请下周审核合同。会议将下周一在上海举行。", glossary: "" },
      en: {
        direction: "zh",
        text: "Please review the contract next week. The meeting will be held in Shanghai next Monday.",
        glossary: "",
      },
    },
    build: (values, language) => {
      const isToEnglish = values.direction !== "zh";
      const terms = linesOf(values.glossary).join("；");
      const text = (values.text ?? "").trim();
      if (language === "zh") {
        const gloss = terms === "" ? "" : `\n术语表：${terms}`;
        return `请把下面的内容翻译成${isToEnglish ? "英文" : "中文"}${gloss}：\n${text}`;
      }
      const gloss = terms === "" ? "" : `\n术语表：${terms}`;
      return `Translate the following into ${isToEnglish ? "English" : "Chinese"}${gloss}:\n${text}`;
    },
  },
];
