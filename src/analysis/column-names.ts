// What the name of a column tells about it before any cell is read: an identifier, a rate, a plan, a count. Both languages together,
// because one sheet often holds both.
import type { ColumnRole, ColumnType } from "./table.ts";
import type { Unit } from "./unit.ts";
import type { Words } from "./words.ts";

export const idNames =
  /编号|单号|号码|电话|手机号|邮编|身份证|账号|帐号|工号|条码|编码|序号|学号|货号|^(id|no\.?|sku|code|phone|zip|key)$|[_\s-](id|no\.?|code|number|sku)$|\b(order|invoice|customer|product) ?(id|no|code|number)\b/i;
export const ratioNames =
  /率|占比|比例|比重|单价|均价|价格|客单价|折扣|评分|得分|年龄|温度|毛利率|平均|人均|周转天数|\b(price|rate|ratio|margin|average|avg|mean|score|rating|age|discount|percent|percentage|share|temperature)\b|%/i;
export const planNames = /计划|目标|预算|\b(plan|planned|target|budget|goal)\b/i;
export const countNames =
  /销量|数量|件数|台数|人数|订单量|订单数|客流|次数|户数|\b(quantity|qty|units|count|orders|visits|users)\b/i;

export function roleOf(
  name: string,
  type: ColumnType,
  { unit, distinct, filled, decisions }: { unit: Unit; distinct: number; filled: number; decisions: Words[] },
): ColumnRole {
  if (type === "date" || type === "period") return "time";
  if (type === "text" || type === "boolean")
    return idNames.test(name) || (distinct > 200 && distinct > 0.9 * filled) ? "id" : "dimension";
  if (idNames.test(name)) return "id";
  if (unit.kind === "percent" || unit.symbol.includes("/") || ratioNames.test(name)) {
    decisions.push({
      zh: "是比率或价格，不能相加，默认取平均",
      en: "a rate or price: not added up, averaged by default",
    });
    return "ratio";
  }
  return "metric";
}
