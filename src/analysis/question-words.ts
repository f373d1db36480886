// The words of questions about figures, in Chinese and English: what people call columns, kinds of analysis and comparisons, and the
// words that ask for nothing of their own.
import type { Comparison, PlanKind } from "./plan.ts";

export const synonyms: readonly (readonly string[])[] = [
  [
    "销售额",
    "销售金额",
    "销售收入",
    "营业额",
    "营收",
    "收入",
    "成交额",
    "业绩",
    "sales",
    "revenue",
    "turnover",
    "sales amount",
  ],
  ["销量", "销售数量", "销售量", "出货量", "units", "units sold", "quantity", "volume"],
  ["订单量", "订单数", "单量", "orders", "order count"],
  ["利润", "毛利", "净利", "净利润", "毛利润", "profit", "gross profit", "margin"],
  ["成本", "费用", "花费", "支出", "cost", "costs", "spend", "expense"],
  ["单价", "价格", "均价", "售价", "price", "unit price"],
  ["区域", "地区", "大区", "region", "area"],
  ["品类", "类别", "类目", "分类", "category"],
  ["产品", "商品", "型号", "单品", "品名", "product", "item", "model"],
  ["城市", "city"],
  ["渠道", "平台", "channel"],
  ["门店", "店铺", "分店", "store", "shop"],
  ["客户", "顾客", "customer", "client"],
  ["部门", "department", "team"],
  ["销售员", "业务员", "销售人员", "salesperson", "rep"],
];

/** Words that carry no demand of their own. */
export const fillers =
  /有没有|我想看|想看|我想要|想要|我要|我想|请问|请|帮我|帮忙|麻烦|谢谢|一下|给我|看看|看下|看|分析|统计|计算|算|列出|显示|展示|告诉我|我想知道|想知道|是多少|多少|什么|怎么样|如何|怎样|情况|数据|表现|里面|里|中|内|的|了|吗|呢|啊|吧|是|有|在|和|与|及|跟|对|把|将|按照|按|根据|各个|各|每个|每|分别|所有|全部|总共|一共|总|合计|哪些|哪个|哪|个|名|前|这|那|记录|并|就|都|也|还|又|主要|区|品类|部分|卖得|卖了|从|到|至|占|类|多|额|所有的|会|能|给|我|你|一|卖|销售得|做得|范围|全部数据|数据|拆分|显示|差额|其他|再按|再|最快|最慢|最明显|名次|大|期间|变化|做|下|我们|公司|整体|总体|起来|\b(please|show|me|tell|what|whats|is|are|was|were|the|a|an|of|in|for|and|by|per|each|every|which|how|much|many|did|do|does|give|list|analy[sz]e|analysis|compute|calculate|total|overall|all|data|our|my|we|us|to|with|on|from|at|it|its|has|have|had|there|this|that|year|change|changes|changed|different|across|between|over|top|best|most|worst|least|highest|lowest|biggest|largest|main|scope|compute|break|broken|down|then|first|others|other|difference|split|them|between|each|than|does|fastest|slowest|much|please|could|you|i|want|see|know|like|would|into|let|look|was|do|s|among|within|period|grew|figures?|number|values?|sold|sells?|selling|made|makes?|generated?|brought|records?|single|orders?|id|so|if|any|there|some|one|ones|get|got|be|been|can|will|will|as|or|about)\b/giu;

export const kindWords: readonly (readonly [PlanKind, RegExp])[] = [
  [
    "price_volume",
    /量价(分析|拆分|分解)?|价量|变化拆成销量、价格、结构|(拆|分)[^，,。]{0,12}(量和价|价和量|量、价|量与价)|数量列|into volume, price and mix|quantity:|价格.{0,3}销量.{0,4}影响|price[\s-]*(and|\/|-)?[\s-]*volume([\s-]*(and)?[\s-]*mix)?|\bmix\b/giu,
  ],
  ["correlation", /相关性|相关系数|相关|关系|correlations?|correlated?|relationship/giu],
  [
    "pareto",
    /帕累托|(贡献|占|撑起?)了?[^，,。]{0,4}[七八九]成|(贡献|占)了?[^，,。]{0,4}80\s?%|二八(定律|分析)?|80\/20|pareto|abc分析/giu,
  ],
  ["distribution", /分布|直方图|distribution|histogram/giu],
  [
    "change",
    /为什么|为啥|为何|怎么回事|原因|归因(分析)?|驱动因素|驱动|主因|贡献|拉动|\bwhy\b|reasons?|drivers?|drove|driv(e|es|ing|en)|drove|attribut(e|ion)|contribut(e|ed|ion|ions|ors?)/giu,
  ],
  [
    "trend",
    /走势|变化趋势|趋势|逐季度?|每个?季度|各月|各季度?|各年|各周|哪个?月|哪一个?月|哪个季度?|which (month|quarter)|按月|按季度?|按周|按天|按日|按年|逐月|每月|每周|每天|月度|trends?|over time|by month|by quarter|by week|by day|by year|(per|each|every) (month|quarter|week|day|year)|month by month|quarter by quarter|evolution|yearly|annual(ly)?|monthly|weekly|daily|quarterly/giu,
  ],
  [
    "ranking",
    /(what )?percent(age)? of|排名|排行榜?|排序|占比|占多少|份额|构成|比重|shares?|ranking|rank(ed)?|breakdown|break down/giu,
  ],
];

export const moveWords =
  /增长率?|增加|上升|上涨|提升|提高|下降|下滑|下跌|减少|降低|涨|跌|grow(th|n)?|grew|increased?|decreased?|declined?|fell|fall|rose|rise|drop(ped)?|up|down|lower|higher|than/giu;

export const comparisonWords: readonly (readonly [Comparison, RegExp])[] = [
  [
    "year_ago",
    /同比(去年)?(同期)?|[与和跟较比]?(去年|上年)(同期|同月|同季度?)|[与和跟较比](去年|上年)(相比|对比|比)?|year[\s-]*(on|over)[\s-]*year|\byoy\b|(from|vs\.?|versus|than|against|compared (to|with)) (the )?(same (period|month|quarter) )?(of )?(last|previous|prior) year|(the )?same (period|month|quarter) (of )?(last year|a year (ago|before|earlier))|a year (ago|before|earlier)/giu,
  ],
  [
    "plan",
    /(与|和|对比|相比|比|较)?(计划|目标|预算)(对比|相比|完成率?|达成率?|差异|差距|差多少)?|完成率|达成率|完成(情况|度|进度)|(vs\.?|versus|against|compared (to|with)|below|above) (the )?(plan|target|budget)|(plan|target|budget) (variance|attainment)/giu,
  ],
  [
    "previous",
    /环比(上个?月|上个?季度?|上期|上周)?|[较比与和跟]上个?(期|月|季度?|周|年)(相比|对比|比)?|(month|quarter|week|period)[\s-]*(on|over)[\s-]*(month|quarter|week|period)|\b(mom|qoq|wow)\b|on the period before|(from|vs\.?|versus|than|compared (to|with)) (the )?(previous|last|prior) (month|quarter|week|period)/giu,
  ],
];

/** Words for a comparison of members or periods with each other. */
export const contrastWords =
  /对比|比较|相比|比|差异|差别|\b(compare[sd]?|comparison|against|versus|vs\.?)(?![\p{L}])/giu;

/** Words that turn the order around: the smallest first. */
export const smallestWords =
  /最低|最少|最小|最差|最弱|垫底|倒数|末尾|\b(lowest|smallest|least|worst|bottom|fewest|weakest)\b/giu;
export const largestWords =
  /最高|最多|最大|最好|最强|领先|\b(highest|largest|biggest|most|best|top|strongest|leading)\b/giu;
