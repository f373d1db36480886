// What general models are asked to put into words: the numbered facts, to be copied exactly. (quern-mini has demonstration-task.ts.)
import type { ChatMessage } from "../models/chat-template.ts";
import type { Result } from "./aggregate.ts";
import type { Fact } from "./facts.ts";
import type { Plan } from "./plan.ts";
import type { Unit } from "./unit.ts";
import type { Language } from "./words.ts";

export interface NarrationTask {
  plan: Plan;
  result: Result;
  facts: readonly Fact[];
  unit: Unit;
  language: Language;
}

export function narrationMessages({ facts, language }: NarrationTask): ChatMessage[] {
  const list = facts.map((fact, index) => `${index + 1}. ${fact.sentence}`).join("\n");
  if (language === "zh") {
    return [
      {
        role: "system",
        content: "你是数据分析助手。只使用给出的事实；数字、单位和名称原样照抄，不计算、不换算、不推测原因。",
      },
      {
        role: "user",
        content: `根据下面的事实写3到5句结论，先说总体变化，再说主要来源，最后提醒一句值得关注的地方。只输出正文，不用列表和标题。\n\n${list}`,
      },
    ];
  }
  return [
    {
      role: "system",
      content:
        "You are a data analyst. Use only the facts given; copy numbers, units and names exactly; do not compute, convert or guess at reasons.",
    },
    {
      role: "user",
      content: `Write 3 to 5 sentences from the facts below: the overall figure first, then what drives it, then one point that deserves attention. Plain text only, no list, no heading.\n\n${list}`,
    },
  ];
}

export function rewriteMessages(
  task: NarrationTask,
  { sentence, numbers }: { sentence: string; numbers: readonly string[] },
): ChatMessage[] {
  const asked = narrationMessages(task);
  const shown = numbers.join(task.language === "zh" ? "、" : ", ");
  return [
    ...asked,
    { role: "assistant", content: sentence },
    {
      role: "user",
      content:
        task.language === "zh"
          ? `这句话里的“${shown}”与事实不符。只用事实里的数字重写这一句，只输出这一句。`
          : `"${shown}" in that sentence is not in the facts. Rewrite this one sentence with numbers from the facts only, and give nothing else.`,
    },
  ];
}
