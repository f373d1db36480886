// Seeded workbooks for measuring the narration: random regions, products with digits in their names, growth, decline, members that
// come and go; and the truth about each, computed here from the rows with plain loops, not with Quern's analysis.
import { Random } from "./random.ts";

export interface Truth {
  whole: Figures;
  members: ReadonlyMap<string, Figures>;
  memberCount: number;
}

export interface Figures {
  current: number;
  previous: number;
}

export interface RandomWorkbook {
  name: string;
  language: "zh" | "en";
  rows: (string | number)[][];
  region: string;
  category: string;
  truth: Truth;
}

const zhRegions = ["华东", "华南", "华北", "西南", "东北"];
const enRegions = ["East", "South", "North", "West"];
const zhCategories = ["手机", "电脑", "家电", "服装", "食品", "美妆"];
const enCategories = ["Phones", "Computers", "Appliances", "Apparel"];
const zhProducts = [
  "小米 14 系列",
  "OPPO Reno12",
  "华为 Pura 70",
  "荣耀 200",
  "蓝牙耳机",
  "扫地机器人",
  "3D 打印机",
  "咖啡机",
  "28 寸行李箱",
  "电动牙刷",
];
const enProducts = [
  "Reno12",
  "Pura 70",
  "Rice cooker 5L",
  "Air fryer",
  "Model 3 chair",
  "Office desk",
  "Galaxy S24",
  "Power bank 20K",
];

export function randomWorkbook(seed: number): RandomWorkbook {
  const random = new Random(seed * 7919 + 1);
  const language = random.next() < 0.6 ? "zh" : "en";
  const zh = language === "zh";
  const regions = random.shuffled(zh ? zhRegions : enRegions).slice(0, random.integer(2, 4));
  const categories = random.shuffled(zh ? zhCategories : enCategories).slice(0, random.integer(2, 3));
  const products = random.shuffled(zh ? zhProducts : enProducts).slice(0, random.integer(2, 8));
  const trend = 0.6 + random.next() * 0.9;
  const months = ["2025-04", "2025-05", "2025-06", "2025-07", "2025-08", "2025-09"];
  const rows: (string | number)[][] = [
    zh ? ["月份", "区域", "品类", "产品", "销售额（元）"] : ["Month", "Region", "Category", "Product", "Sales (USD)"],
  ];
  const scale = 10 ** random.integer(1, 5);
  for (const product of products) {
    const own = trend * (0.7 + 0.6 * random.next());
    const isNew = random.next() < 0.08;
    const isGone = !isNew && random.next() < 0.08;
    for (const month of months) {
      const isLater = month >= "2025-07";
      if ((isNew && !isLater) || (isGone && isLater)) continue;
      for (const region of regions) {
        for (const category of categories) {
          if (random.next() < 0.15) continue;
          const amount = scale * (5 + 20 * random.next()) * (isLater ? own : 1);
          rows.push([month, region, category, product, Math.round(amount * 100) / 100]);
        }
      }
    }
  }
  const region = regions[0] ?? "";
  const category = categories[0] ?? "";
  return { name: `book-${seed}.xlsx`, language, rows, region, category, truth: truthOf(rows, region, category) };
}

function truthOf(rows: readonly (string | number)[][], region: string, category: string): Truth {
  const members = new Map<string, { current: number; previous: number }>();
  for (const [month, rowRegion, rowCategory, product, amount] of rows.slice(1)) {
    if (rowRegion !== region || rowCategory !== category) continue;
    const member = members.get(String(product)) ?? { current: 0, previous: 0 };
    if (String(month) >= "2025-07") member.current += Number(amount);
    else member.previous += Number(amount);
    members.set(String(product), member);
  }
  const whole = { current: 0, previous: 0 };
  for (const member of members.values()) {
    whole.current += member.current;
    whole.previous += member.previous;
  }
  return { whole, members, memberCount: members.size };
}
