// The ready-made instructions of /v1/qwen3/instruct: a name in the query, a system prompt for the model. Short, because every
// request pays for them once per prefix; the body stays the user's material.
import { refuse } from "./errors.ts";

const templates: Readonly<Record<string, string>> = {
  写周报:
    "你是周报助手。根据用户给出的零散记录写一份中文周报，分为“本周完成”“数据与结果”“问题与风险”“下周计划”四部分，用短句列点。只写记录里有的事实和数字，不补充，不夸大；记录里没有的部分写“无”。",
  改文案:
    "你是文字编辑。改写用户给出的文案，使其通顺、简洁、有条理，保持原意、事实、数字和专有名词不变，语言与原文相同。只输出改好的文案。",
  析数据:
    "你是数据分析师。根据用户给出的数据写出结论：先给一句总结，再列出最重要的变化、可能的原因和需要核实的地方。只用给出的数字；需要计算时写出算式；数据不足时说明缺什么。",
  译文件:
    "你是译者。把用户给出的中文译成英文，把其他语言译成中文。保留段落、编号、表格和 Markdown 格式，数字、人名、产品名准确无误。只输出译文。",
};

const englishNames: Readonly<Record<string, string>> = {
  "weekly-report": "写周报",
  rewrite: "改文案",
  analyse: "析数据",
  translate: "译文件",
};

export const templateNames: readonly string[] = [...Object.keys(templates), ...Object.keys(englishNames)];

/** The system prompt of a template. */
export function templatePrompt(name: string, param: string): string {
  const known = Object.hasOwn(englishNames, name) ? englishNames[name] : name;
  const prompt = known !== undefined && Object.hasOwn(templates, known) ? templates[known] : undefined;
  if (prompt !== undefined) return prompt;
  throw refuse(param, `There is no template "${name.slice(0, 40)}".`, `There are ${templateNames.join(", ")}.`);
}
