// The templates that come with Quern: the four of the first day and twelve more. The first four are worded as the bundled quern-mini was
// trained (models/quern-mini/recipe), so that they work on both models; `instruction` is their form for raw material, as
// /v1/qwen3/instruct takes it. The twelve have a `system` text instead: the same for every use, so that it is computed once and kept.
import type { TemplateField } from "./template-text.ts";

export interface TemplateBody {
  name: string;
  about: string;
  icon: string;
  /** Taken when the conversation leaves the temperature to Quern. */
  temperature: "precise" | "balanced" | "creative";
  fields: readonly TemplateField[];
  /** See template-text.ts. */
  prompt: string;
  /** The system prompt of a conversation that begins with this template. */
  system?: string;
  /** A system prompt for the user's material as it is, without fields. */
  instruction?: string;
  example?: Readonly<Record<string, string>>;
}

export interface BuiltInTemplate {
  id: string;
  group: "daily" | "office" | "code" | "language";
  zh: TemplateBody;
  en: TemplateBody;
}

interface Spec {
  id: string;
  group: BuiltInTemplate["group"];
  icon: string;
  temperature: TemplateBody["temperature"];
  zh: Text;
  en: Text;
}

type Text = Omit<TemplateBody, "icon" | "temperature">;

const line = (id: string, label: string, placeholder: string, isRequired = false): TemplateField => ({
  id,
  kind: "line",
  label,
  placeholder,
  ...(isRequired ? { isRequired } : {}),
});
const text = (id: string, label: string, placeholder: string, isRequired = true): TemplateField => ({
  ...line(id, label, placeholder, isRequired),
  kind: "text",
});
const list = (id: string, label: string, placeholder: string, isRequired = true): TemplateField => ({
  ...line(id, label, placeholder, isRequired),
  kind: "list",
});
const choice = (id: string, label: string, options: Readonly<Record<string, string>>): TemplateField => ({
  id,
  kind: "choice",
  label,
  options: Object.entries(options).map(([option, shown]) => ({ id: option, label: shown })),
});

const specs: readonly Spec[] = [
  {
    id: "weekly-report",
    group: "daily",
    icon: "report",
    temperature: "precise",
    zh: {
      name: "写周报",
      about: "把零散要点整理成规范的周报",
      fields: [
        choice("kind", "种类", { week: "周报", month: "月报", day: "日报" }),
        list("points", "要点，每行一条", "完成了……\n正在做……\n风险：……\n下周……"),
      ],
      prompt: "请把下面的要点整理成一份正式的{{kind}}：\n{{points}}",
      instruction:
        "你是周报助手。根据用户给出的零散记录写一份中文周报，分为“本周完成”“数据与结果”“问题与风险”“下周计划”四部分，用短句列点。只写记录里有的事实和数字，不补充，不夸大；记录里没有的部分写“无”。",
      example: {
        kind: "week",
        points:
          "完成了官网改版的需求评审，确认12条意见\n正在做会员系统接口联调，进度60%\n风险：测试环境不稳定，影响会员系统\n下周启动数据看板的原型设计",
      },
    },
    en: {
      name: "Weekly report",
      about: "Turn loose notes into a proper report",
      fields: [
        choice("kind", "Kind", { week: "weekly report", month: "monthly report", day: "daily report" }),
        list("points", "Notes, one a line", "finished …\nworking on …\nrisk: …\nnext week: …"),
      ],
      prompt: "Please write my {{kind}} from these notes:\n{{points}}",
      example: {
        kind: "week",
        points:
          "finished the requirements review for the website redesign, covering 12 comments\nworking on the interface testing for the membership system\nrisk: the test environment is unstable, affects the membership system\nnext week: the prototype design for the data dashboard",
      },
    },
  },
  {
    id: "rewrite",
    group: "daily",
    icon: "pencil",
    temperature: "creative",
    zh: {
      name: "改文案",
      about: "让一段话更正式、更专业、更得体",
      fields: [
        choice("tone", "改成", { formal: "改得正式一点", professional: "改写得更专业", polite: "改得更得体" }),
        text("text", "原文", "把要改的文字贴在这里"),
      ],
      prompt: "请把下面这段话{{tone}}：\n{{text}}",
      instruction:
        "你是文字编辑。改写用户给出的文案，使其通顺、简洁、有条理，保持原意、事实、数字和专有名词不变，语言与原文相同。只输出改好的文案。",
      example: { tone: "formal", text: "李敏说报价单还没弄好，得等到周五之前" },
    },
    en: {
      name: "Rewrite",
      about: "Make a text formal, professional or polite",
      fields: [
        choice("tone", "Make it", {
          formal: "in a formal tone",
          professional: "in business English",
          polite: "more politely",
        }),
        text("text", "Text", "Paste the text to rewrite"),
      ],
      prompt: "Please rewrite the following {{tone}}:\n{{text}}",
      example: { tone: "formal", text: "hey, Emma Clark hasn't finished the quotation, maybe before Friday" },
    },
  },
  {
    id: "analyse",
    group: "daily",
    icon: "chart",
    temperature: "precise",
    zh: {
      name: "析数据",
      about: "由算好的数字写出结论，数字照抄",
      fields: [
        line("region", "地区", "华东"),
        line("category", "品类", "手机"),
        line("period", "周期", "2026年第3季度"),
        line("metric", "指标", "销售额"),
        choice("comparison", "比较", { year: "同比", period: "环比" }),
        line("change", "变化", "-12.5%", true),
        list("contributors", "主要贡献项，每行一条", "线上商城：变化 -8.1%，贡献 64.8%", false),
      ],
      prompt:
        "请根据下面的数据写一段结论，数字必须原样照抄：\n地区：{{region}}\n品类：{{category}}\n周期：{{period}}\n指标：{{metric}}\n{{comparison}}变化：{{change}}{{#contributors}}\n主要贡献项：\n{{contributors}}{{/contributors}}",
      instruction:
        "你是数据分析师。根据用户给出的数据写出结论：先给一句总结，再列出最重要的变化、可能的原因和需要核实的地方。只用给出的数字；需要计算时写出算式；数据不足时说明缺什么。",
      example: {
        region: "华东",
        category: "手机",
        period: "2026年第3季度",
        metric: "销售额",
        comparison: "year",
        change: "-12.5%",
        contributors: "线上商城：变化 -8.1%，贡献 64.8%\n经销商：变化 -3.2%，贡献 25.6%",
      },
    },
    en: {
      name: "Data findings",
      about: "Write findings from computed figures",
      fields: [
        line("region", "Region", "East China"),
        line("category", "Category", "Phones"),
        line("period", "Period", "Q3 2026"),
        line("metric", "Metric", "sales"),
        choice("comparison", "Compared", { year: "year on year", period: "period on period" }),
        line("change", "Change", "-12.5%", true),
        list("contributors", "Top contributors, one a line", "online store: change -8.1%, contribution 64.8%", false),
      ],
      prompt:
        "Please write a short conclusion from the data below, copy every number exactly:\nRegion: {{region}}\nCategory: {{category}}\nPeriod: {{period}}\nMetric: {{metric}}\nChange {{comparison}}: {{change}}{{#contributors}}\nTop contributors:\n{{contributors}}{{/contributors}}",
      example: {
        region: "East China",
        category: "Phones",
        period: "Q3 2026",
        metric: "sales",
        comparison: "year",
        change: "-12.5%",
        contributors: "online store: change -8.1%, contribution 64.8%\ndealers: change -3.2%, contribution 25.6%",
      },
    },
  },
  {
    id: "translate",
    group: "language",
    icon: "translate",
    temperature: "precise",
    zh: {
      name: "译文件",
      about: "中英互译，可带术语表",
      fields: [
        choice("direction", "方向", { en: "英文", zh: "中文" }),
        text("text", "原文", "把要翻译的文字贴在这里"),
        { ...text("glossary", "术语表，每行一条（可不填）", "对账单=account statement", false) },
      ],
      prompt: "请把下面的内容翻译成{{direction}}{{#glossary}}\n术语表：{{glossary|join}}{{/glossary}}：\n{{text}}",
      instruction:
        "你是译者。把用户给出的中文译成英文，把其他语言译成中文。保留段落、编号、表格和 Markdown 格式，数字、人名、产品名准确无误。只输出译文。",
      example: { direction: "en", text: "请下周审核合同。会议将下周一在上海举行。", glossary: "" },
    },
    en: {
      name: "Translate",
      about: "Chinese and English, with a glossary",
      fields: [
        choice("direction", "Into", { zh: "Chinese", en: "English" }),
        text("text", "Text", "Paste the text to translate"),
        text("glossary", "Glossary, one a line (optional)", "对账单=account statement", false),
      ],
      prompt:
        "Translate the following into {{direction}}{{#glossary}}\n术语表：{{glossary|join}}{{/glossary}}:\n{{text}}",
      example: {
        direction: "zh",
        text: "Please review the contract next week. The meeting will be held in Shanghai next Monday.",
        glossary: "",
      },
    },
  },
  {
    id: "meeting-minutes",
    group: "daily",
    icon: "notes",
    temperature: "precise",
    zh: {
      name: "写纪要",
      about: "由会议记录写出结论、待办和负责人",
      system:
        "你是会议秘书。根据会议记录写纪要，依次为：结论、待办事项（表格：事项、负责人、期限）、未决问题。只写记录里有的内容；没有写明负责人或期限的，填“未定”。",
      fields: [line("topic", "会议主题", "三季度复盘会"), text("notes", "会议记录", "把记录或转写文字贴在这里")],
      prompt: "会议主题：{{topic}}\n会议记录：\n{{notes}}",
      example: {
        topic: "三季度复盘会",
        notes: "王芳：线上退货率升到 4.2%，下周五前查清原因。陈强：仓库搬迁推迟到 11 月。",
      },
    },
    en: {
      name: "Meeting minutes",
      about: "Decisions, actions and owners from a meeting's notes",
      system:
        "You take minutes. From the notes of a meeting write, in this order: decisions, actions (a table: action, owner, due), open questions. Write only what the notes say; where they name no owner or date, write “open”.",
      fields: [line("topic", "Topic", "Q3 review"), text("notes", "Notes", "Paste the notes or the transcript")],
      prompt: "Topic: {{topic}}\nNotes:\n{{notes}}",
      example: {
        topic: "Q3 review",
        notes: "Anna: returns rose to 4.2 %, cause by Friday. Ben: the move is put off to November.",
      },
    },
  },
  {
    id: "email",
    group: "daily",
    icon: "mail",
    temperature: "balanced",
    zh: {
      name: "写邮件",
      about: "由要点写一封得体的邮件",
      system:
        "你是文秘。根据要点写一封中文邮件：先写主题行，再写称呼、正文、落款。语气得体，不超过要点所需的长度，不添加要点之外的承诺。",
      fields: [
        line("to", "收件人", "采购部李经理", true),
        choice("tone", "语气", { formal: "正式", friendly: "友好", firm: "坚定但有礼" }),
        list("points", "要点，每行一条", "报价单周五前发出\n需要对方确认数量"),
        line("sender", "落款", "王芳"),
      ],
      prompt: "收件人：{{to}}\n语气：{{tone}}\n要点：\n{{points}}\n落款：{{sender}}",
      example: { to: "采购部李经理", tone: "formal", points: "报价单周五前发出\n需要对方确认数量", sender: "王芳" },
    },
    en: {
      name: "E-mail",
      about: "A fitting e-mail from a few points",
      system:
        "You write business e-mails in English from points: a subject line, a salutation, the body, a closing. Keep it as short as the points allow, and promise nothing that they do not say.",
      fields: [
        line("to", "To", "Ms Clark, purchasing", true),
        choice("tone", "Tone", { formal: "formal", friendly: "friendly", firm: "firm but polite" }),
        list("points", "Points, one a line", "quotation will come by Friday\nplease confirm the quantity"),
        line("sender", "From", "Emma"),
      ],
      prompt: "To: {{to}}\nTone: {{tone}}\nPoints:\n{{points}}\nFrom: {{sender}}",
      example: { to: "Ms Clark", tone: "formal", points: "quotation by Friday\nconfirm the quantity", sender: "Emma" },
    },
  },
  {
    id: "key-points",
    group: "daily",
    icon: "list",
    temperature: "precise",
    zh: {
      name: "提要点",
      about: "把长文读成几条要点",
      system:
        "你是编辑。读完用户给出的文字，写出要点：每条一句，按重要性排列，保留原文的数字、日期和名称；最后一行写“一句话总结：”。不写原文没有的内容。",
      fields: [
        choice("count", "条数", { "5": "5", "3": "3", "8": "8" }),
        text("text", "原文", "把文章、报告或制度贴在这里"),
      ],
      prompt: "写出 {{count}} 条要点。\n原文：\n{{text}}",
      example: { count: "3", text: "自2026年1月1日起，差旅住宿标准调整为每晚不超过 480 元……" },
    },
    en: {
      name: "Key points",
      about: "A long text read down to a few points",
      system:
        "You are an editor. Read the text and write its key points: one sentence each, the most important first, with the text's own numbers, dates and names; end with a line “In one sentence:”. Write nothing that the text does not say.",
      fields: [
        choice("count", "How many", { "5": "5", "3": "3", "8": "8" }),
        text("text", "Text", "Paste an article or a policy"),
      ],
      prompt: "Write {{count}} key points.\nText:\n{{text}}",
      example: { count: "3", text: "From 1 January 2026 the limit for a hotel night is 120 euros …" },
    },
  },
  {
    id: "announcement",
    group: "office",
    icon: "megaphone",
    temperature: "balanced",
    zh: {
      name: "拟通知",
      about: "写一份内部通知或公告",
      system:
        "你是行政人员。根据给出的信息拟一份内部通知：标题、主送、正文（事由、安排、要求）、落款单位和日期。用语规范，信息缺失处写“（待定）”，不自行补充。",
      fields: [
        line("subject", "事由", "国庆放假安排", true),
        line("audience", "发给", "全体员工"),
        list("facts", "具体内容，每行一条", "10月1日至7日放假\n10月8日上班"),
        line("issuer", "落款", "行政部"),
        { id: "date", kind: "date", label: "日期" },
      ],
      prompt: "事由：{{subject}}\n主送：{{audience}}\n内容：\n{{facts}}\n落款：{{issuer}}\n日期：{{date}}",
    },
    en: {
      name: "Notice",
      about: "An internal notice or announcement",
      system:
        "You write internal notices: a title, whom it is for, the body (what, when, what to do), the issuer and the date. Where something is missing write “(to be announced)”; add nothing.",
      fields: [
        line("subject", "About", "office closed over the holidays", true),
        line("audience", "For", "all staff"),
        list("facts", "Facts, one a line", "closed 24 to 26 December\nback on the 27th"),
        line("issuer", "From", "Office management"),
        { id: "date", kind: "date", label: "Date" },
      ],
      prompt: "About: {{subject}}\nFor: {{audience}}\nFacts:\n{{facts}}\nFrom: {{issuer}}\nDate: {{date}}",
    },
  },
  {
    id: "contract-review",
    group: "office",
    icon: "scales",
    temperature: "precise",
    zh: {
      name: "审合同",
      about: "找出一方要留意的条款，逐条引原文",
      system:
        "你是合同审阅人，站在用户说明的一方。列出需要留意的条款，表格：条款号、原文（照抄）、风险、建议改法。再列出合同里缺少的常见条款。只依据给出的文本；这不是法律意见，请在末尾提醒由律师确认。",
      fields: [
        choice("side", "我方是", { buyer: "甲方（付款方）", seller: "乙方（收款方）" }),
        line("focus", "特别关心", "付款期限、违约金"),
        text("contract", "合同文本", "把合同贴在这里，或拖入文件"),
      ],
      prompt: "我方是{{side}}。\n特别关心：{{focus}}\n合同文本：\n{{contract}}",
    },
    en: {
      name: "Contract review",
      about: "Clauses one side should look at, with the words quoted",
      system:
        "You review contracts for the side that the user names. List clauses to look at in a table: clause, its words (copied exactly), the risk, a better wording. Then list usual clauses that are missing. Rely on the text alone; end by saying that this is no legal advice and a lawyer should confirm it.",
      fields: [
        choice("side", "We are", { buyer: "the customer", seller: "the supplier" }),
        line("focus", "Above all", "payment terms, penalties"),
        text("contract", "Contract", "Paste the contract, or drop a file"),
      ],
      prompt: "We are {{side}}.\nAbove all: {{focus}}\nContract:\n{{contract}}",
    },
  },
  {
    id: "slides-outline",
    group: "office",
    icon: "slides",
    temperature: "balanced",
    zh: {
      name: "列提纲",
      about: "把材料变成演示文稿的提纲",
      system:
        "你是演示文稿的编写者。把材料写成提纲：每页一个标题（写结论，不写话题）和 2 到 4 条要点，每条不超过 20 字；需要图表的页写明画什么。只用材料里的事实和数字。",
      fields: [
        line("audience", "听众", "公司管理层"),
        { id: "pages", kind: "number", label: "页数", placeholder: "8" },
        text("material", "材料", "把材料贴在这里"),
      ],
      prompt: "听众：{{audience}}\n页数：{{pages}}\n材料：\n{{material}}",
    },
    en: {
      name: "Slide outline",
      about: "Material turned into an outline for slides",
      system:
        "You outline presentations. For each slide write a title that states the conclusion and 2 to 4 points of at most 12 words; where a chart is needed say what it shows. Use only facts and figures of the material.",
      fields: [
        line("audience", "Audience", "management"),
        { id: "pages", kind: "number", label: "Slides", placeholder: "8" },
        text("material", "Material", "Paste the material"),
      ],
      prompt: "Audience: {{audience}}\nSlides: {{pages}}\nMaterial:\n{{material}}",
    },
  },
  {
    id: "extract",
    group: "office",
    icon: "table",
    temperature: "precise",
    zh: {
      name: "填表格",
      about: "从文字里取出字段，排成表",
      system:
        "你从文字里取出字段。输出一个 Markdown 表格，列为用户给出的字段，每条记录一行；数字、日期、名称照抄原文；文字里没有的写“—”。只输出表格。",
      fields: [line("columns", "字段", "姓名、部门、金额、日期", true), text("text", "文字", "把文字贴在这里")],
      prompt: "字段：{{columns}}\n文字：\n{{text}}",
    },
    en: {
      name: "Fill a table",
      about: "Fields taken from a text into a table",
      system:
        "You take fields from a text. Answer with one Markdown table whose columns are the fields that the user names, one row a record; copy numbers, dates and names exactly; write “—” for what the text does not say. Answer with the table only.",
      fields: [
        line("columns", "Fields", "name, department, amount, date", true),
        text("text", "Text", "Paste the text"),
      ],
      prompt: "Fields: {{columns}}\nText:\n{{text}}",
    },
  },
  {
    id: "explain-code",
    group: "code",
    icon: "code",
    temperature: "precise",
    zh: {
      name: "讲代码",
      about: "说明一段代码做什么、怎么做、哪里会出错",
      system:
        "你是资深工程师。先用一句话说这段代码做什么，再按顺序说明关键步骤，最后列出可能出错的地方和没有处理的情况，并引用对应的行。不确定的地方写明不确定。",
      fields: [line("question", "特别想问", "为什么这里要加锁？"), text("code", "代码", "把代码贴在这里")],
      prompt: "问题：{{question}}\n代码：\n```\n{{code}}\n```",
    },
    en: {
      name: "Explain code",
      about: "What a piece of code does, how, and where it may fail",
      system:
        "You are a senior engineer. Say in one sentence what the code does, then explain its key steps in order, then list what may fail or is not handled, quoting the lines. Say so where you are not sure.",
      fields: [line("question", "Above all", "why is there a lock here?"), text("code", "Code", "Paste the code")],
      prompt: "Question: {{question}}\nCode:\n```\n{{code}}\n```",
    },
  },
  {
    id: "review-code",
    group: "code",
    icon: "review",
    temperature: "precise",
    zh: {
      name: "查代码",
      about: "按严重程度列出问题和改法",
      system:
        "你审查代码。按严重程度列出问题：位置、为什么错、改法（给出改好的代码）。先写会导致错误结果、数据丢失或安全问题的，再写可读性。没有问题就说没有，不凑数。",
      fields: [
        line("context", "背景", "这是一个 HTTP 接口的处理函数"),
        text("code", "代码或差异", "把代码或 diff 贴在这里"),
      ],
      prompt: "背景：{{context}}\n代码：\n```\n{{code}}\n```",
    },
    en: {
      name: "Review code",
      about: "Faults by severity, each with a fix",
      system:
        "You review code. List faults by severity: where, why it is wrong, the fix as code. First what gives wrong results, loses data or opens a hole, then readability. If there is nothing to say, say so.",
      fields: [
        line("context", "Background", "a handler of an HTTP API"),
        text("code", "Code or diff", "Paste code or a diff"),
      ],
      prompt: "Background: {{context}}\nCode:\n```\n{{code}}\n```",
    },
  },
  {
    id: "sql",
    group: "code",
    icon: "database",
    temperature: "precise",
    zh: {
      name: "写查询",
      about: "由表结构和问题写出 SQL",
      system:
        "你写 SQL。根据表结构写一条查询回答问题，再用一两句话说明。只用给出的表和列；有歧义时写明你的假设。除非要求，不写修改数据的语句。",
      fields: [
        choice("dialect", "数据库", { postgres: "PostgreSQL", mysql: "MySQL", sqlite: "SQLite", duckdb: "DuckDB" }),
        text("schema", "表结构", "CREATE TABLE …"),
        line("question", "要查什么", "每个地区上月销售额最高的三个产品", true),
      ],
      prompt: "数据库：{{dialect}}\n表结构：\n```sql\n{{schema}}\n```\n问题：{{question}}",
    },
    en: {
      name: "SQL query",
      about: "SQL from a schema and a question",
      system:
        "You write SQL. Answer the question with one query over the given schema, then explain it in a sentence or two. Use only tables and columns that are given; state your assumption where the question is ambiguous. Write nothing that changes data unless asked.",
      fields: [
        choice("dialect", "Database", { postgres: "PostgreSQL", mysql: "MySQL", sqlite: "SQLite", duckdb: "DuckDB" }),
        text("schema", "Schema", "CREATE TABLE …"),
        line("question", "Question", "the three best-selling products of each region last month", true),
      ],
      prompt: "Database: {{dialect}}\nSchema:\n```sql\n{{schema}}\n```\nQuestion: {{question}}",
    },
  },
  {
    id: "polish-english",
    group: "language",
    icon: "spelling",
    temperature: "precise",
    zh: {
      name: "润英文",
      about: "改正并润色英文，逐处说明",
      system:
        "你是英文编辑。先给出改好的英文全文，再用中文列出主要改动：原文、改后、原因。保持原意、术语和数字不变；本来就好的地方不改。",
      fields: [
        choice("register", "用途", { business: "商务", academic: "学术", casual: "日常" }),
        text("text", "英文原文", "Paste your English here"),
      ],
      prompt: "用途：{{register}}\n原文：\n{{text}}",
    },
    en: {
      name: "Polish English",
      about: "English corrected, with each change explained",
      system:
        "You edit English. Give the whole corrected text first, then list the main changes: before, after, why. Keep meaning, terms and numbers; leave alone what is good.",
      fields: [
        choice("register", "For", { business: "business", academic: "academic writing", casual: "everyday use" }),
        text("text", "Text", "Paste your English here"),
      ],
      prompt: "For: {{register}}\nText:\n{{text}}",
    },
  },
  {
    id: "bilingual-reply",
    group: "language",
    icon: "reply",
    temperature: "balanced",
    zh: {
      name: "回外文",
      about: "读懂外文来信，用对方的语言回复",
      system:
        "你帮助用户处理外文来信。依次写：一、来信大意（中文，三句以内）；二、对方要求我方做的事；三、用来信的语言写的回复，按用户的要点，语气得体；四、回复的中文对照。不替用户答应要点之外的事。",
      fields: [
        text("letter", "来信", "把外文来信贴在这里"),
        list("points", "回复要点，每行一条", "同意改期到 12 日\n运费由对方承担"),
      ],
      prompt: "来信：\n{{letter}}\n回复要点：\n{{points}}",
    },
    en: {
      name: "Reply abroad",
      about: "Understand a foreign letter and answer in its language",
      system:
        "You help with letters in other languages. Write in this order: 1. what the letter says (English, three sentences at most); 2. what it asks us to do; 3. a reply in the letter's language that makes the user's points politely; 4. that reply in English. Agree to nothing beyond the points.",
      fields: [
        text("letter", "Letter", "Paste the letter"),
        list("points", "Points of the reply, one a line", "agree to move it to the 12th\nfreight is theirs"),
      ],
      prompt: "Letter:\n{{letter}}\nPoints:\n{{points}}",
    },
  },
];

export const builtInTemplates: readonly BuiltInTemplate[] = specs.map(({ id, group, icon, temperature, zh, en }) => ({
  id,
  group,
  zh: { icon, temperature, ...zh },
  en: { icon, temperature, ...en },
}));
