// A sentence in both languages of Quern. Everything that analysis says to people without the model is made of these.

export type Language = "zh" | "en";

export interface Words {
  zh: string;
  en: string;
}

/** Items joined as the language does: 甲、乙 or "A, B". */
export function listed(items: readonly string[], language: Language): string {
  return items.join(language === "zh" ? "、" : ", ");
}

/** The language of a text: Chinese as soon as it holds Han characters. */
export function languageOf(text: string): Language {
  return /\p{Script=Han}/u.test(text) ? "zh" : "en";
}

/** The number a Chinese numeral character stands for. */
export const chineseDigit: Readonly<Record<string, number>> = {
  零: 0,
  〇: 0,
  一: 1,
  二: 2,
  两: 2,
  三: 3,
  四: 4,
  五: 5,
  六: 6,
  七: 7,
  八: 8,
  九: 9,
  十: 10,
};
