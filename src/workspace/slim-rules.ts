// The words that prompt slimming may drop, as patterns. Each rule is a whitelist: 请 goes only before a verb that asks the model for
// something, because before anything else it may mean to invite, to hire or to ask for (请假, 请律师, 请客户确认).

/** What a person asks a model to do, behind 请, 帮我 and the like. */
const zhVerb =
  "(?:把|将|用|给出|给我|告诉我|写|列|解释|说明|分析|总结|概括|介绍|回答|翻译|润色|改写|检查|生成|比较|对比|计算|推荐|描述|提取|整理|起草|拟|编写|设计|优化|详细|简要|简单|尽量|直接|根据|按照|参考|参照|为我|做一|画一|举例|举个|举出|讲讲|讲一|讲解|看看|看一下|查一下|查找|找出|修改|修复|补充|继续|重写|再|先|逐|只|不要|使用|输出|返回|判断|评价|提供|指出|阐述|谈谈|续写|制定|规划|想一|想几|起一|起个|预测|估算|统计|归纳|实现|编一|说说|说一)";
/** Verb and ending together are a person, a firm or another word: 请设计师, 请先生, 请用餐, 请将军, 请对方. */
const zhNotPerson =
  "(?!(?:把|将|用|给|写|列|讲|画|编|分析|设计|翻译|检查|介绍|推荐|提供|评价|优化|规划|统计|修复|说明|讲解|参考|回答|编写|整理|判断|计算)(?:师|员|者|家|人|商|方|组|手|公司|团队|专家|院|所|部|局|会|信|的人|官|机构))(?!先生|先知|先行|用车|用印|用章|用工|用户|用人|列席|写字|写真|讲一位|讲座|把式|将令|使用者|使用说明|计算机|直接上级|参考消息|补充材料|简单的|详细的|比较(?:好|便宜|专业|有|靠谱|近|大|小|高|低|贵|熟)|用餐|用茶|用膳|用饭|将军|将领|将士|只身|再婚|再三|把关|把脉|逐客|翻译(?:来|到|陪|出席|在场|一起|随行))";
/** What can only be meant for the model, so that "can you" before it is a request and no question about what is allowed. */
const zhTold =
  "(?:解释|说明一下|讲讲|讲解|介绍|总结|概括|举例|举个|列出|推荐|比较|对比|分析|告诉我|给我(?:[一二两三四五六七八九十几些\\d]|讲|说|写|列|举|推荐|解释|介绍))";
const zhStart = "(?<=^|[。！？；，!?;,\\n]\\s*|\\n)";

export interface SlimRule {
  pattern: RegExp;
  /** Only where the whole message begins or ends. */
  place: "start" | "clause" | "end";
}

const rule = (place: SlimRule["place"], source: string): SlimRule => ({ place, pattern: new RegExp(source, "giu") });

const zhHelp = "(?:帮我|帮忙|帮我们|替我)?(?:一下)?";

export const zhRules: readonly SlimRule[] = [
  rule(
    "start",
    "^\\s*(?:你好|您好|嗨|哈喽|哈啰|早上好|下午好|晚上好)\\s*[，,！!。~～]+\\s*(?=请|麻烦|劳|烦|拜托|能|可|我|帮|怎|如何|什么|为什么|有|想|问|给|把|写|列|算|推荐|解释|介绍|说|不好意思|打扰|今天|这|那|谁|哪|多少|是否)",
  ),
  rule("clause", `${zhStart}(?:不好意思|打扰一下|打扰了|抱歉打扰了?|劳驾)\\s*[，,！!。]\\s*(?=\\S)`),
  rule("clause", `${zhStart}请问(?:一下)?(?!候|安|题|过|问|责|罪|鼎)[，,]?\\s*(?=\\S)`),
  rule("clause", `${zhStart}(?:麻烦|劳烦|烦请|拜托)(?:你|您)?${zhHelp}(?=${zhVerb})${zhNotPerson}`),
  rule(
    "clause",
    `${zhStart}(?:能不能|可不可以|能否|可否)(?:(?:请|麻烦)?(?:你|您)?(?:帮我|帮忙|替我)(?:一下)?(?=${zhVerb})|(?:请|麻烦)(?:你|您)?(?=${zhVerb})|(?:你|您)?(?=${zhTold}))${zhNotPerson}(?![^。！？!?\\n]*什么)`,
  ),
  rule("clause", `${zhStart}请(?:你|您)?${zhHelp}(?=${zhVerb})${zhNotPerson}`),
  rule("clause", `${zhStart}请(?=(?:你|您)?(?:帮我|帮忙|替我))`),
  rule(
    "end",
    "(?<!(?:说|道|写上|喊|回|回复|加上|是|叫|一句|问|念|读)\\s*)(?:(?<=[。！？!?])|[，,；;~～\\s]|(?<=\\n))\\s*(?:先)?(?:非常感谢|十分感谢|万分感谢|多谢|谢谢|感谢|谢啦|谢了|辛苦了|麻烦了|麻烦您了|麻烦你了|拜托了|辛苦您了|辛苦你了)(?:你|您|啦|了|大家)?(?:的帮助|的帮忙)?\\s*[！!。.~～]*\\s*$",
  ),
];

const enVerb =
  "(?:write|explain|list|give|show|tell|help|make|create|describe|compare|find|fix|check|add|provide|answer|draft|generate|suggest|convert|analy[sz]e|calculate|translate|summari[sz]e|rewrite|rephrase|proofread|polish|correct|recommend|outline|design|extract|review|refactor|implement|do not|don't|keep|use|avoid|include|format|sort|count|rank|name|define|walk me|let me know|continue|improve|shorten|plan)";
const enTold =
  "(?:explain|describe|draft|outline|summari[sz]e|translate|rephrase|rewrite|proofread|recommend|suggest|give me|tell me|show me|help me|walk me|list (?:the|all|some|five|ten|three)|write (?:a|an|the|me|some)|create (?:a|an|the|me|some)|generate (?:a|an|the|me|some)|compare the|check (?:this|my|the)|fix (?:this|my|the))";
const enGreeting = "(?:hi|hello|hey|good (?:morning|afternoon|evening))(?: there)?\\s*[,!.]+\\s+";
const enSorry = "(?:excuse me|sorry to bother you|sorry for bothering you)\\s*[,.!]+\\s+";
const enStart = `(?<=^|[.!?;]\\s+|\\n\\s*|^\\s*(?:${enGreeting})?(?:${enSorry})?)`;

export const enRules: readonly SlimRule[] = [
  rule(
    "start",
    `^\\s*${enGreeting}(?=(?:please|could|can|would|will|how|what|why|when|where|who|which|do|does|did|i|i'm|i'd|i’d|explain|describe|list|write|give|show|tell|help|make|create|sorry|excuse)\\b)`,
  ),
  rule("clause", `${enStart}${enSorry}(?=\\S)`),
  rule("clause", `${enStart}(?:please|kindly|pls)(?: kindly)?,? (?=${enVerb}\\b)`),
  rule("clause", `${enStart}can you (?:please|kindly) (?:help me (?:to )?)?(?=${enVerb}\\b)`),
  rule("clause", `${enStart}can you (?:please )?(?=(?:explain|tell me|give me|show me|help me)\\b)`),
  rule(
    "clause",
    `${enStart}could you (?:help me (?:to )?)?(?=${enTold} \\S)(?!\\w+ (?:yourself|me a hand)\\b)(?!give me a hand)`,
  ),
  rule("clause", `${enStart}(?:could|would|will) you (?:please|kindly) (?:help me (?:to )?)?(?=${enVerb}\\b)`),
  rule(
    "clause",
    `${enStart}(?:i(?:'d|’d| would) like you to|i need you to|i want you to) (?:please )?(?=${enVerb}\\b)`,
  ),
  rule("end", "(?<!\\b(?:yes|no|say|says|saying|word|words)\\s*),\\s*please(?=\\s*[.!?]*\\s*$)"),
  rule(
    "end",
    "(?<!\\b(?:say|says|said|saying|write|reads|reading|phrase|word|is|means|mean|with|adds?)\\s*)(?:(?<=[.!?])\\s+|[,;]\\s*|\\s*\\n\\s*)(?:many thanks|thanks a lot|thanks so much|thanks|thank you very much|thank you so much|thank you|thx|much appreciated)(?: in advance)?(?: for (?:your|the) help)?\\s*[.!]*\\s*$",
  ),
];

/** Words after which what follows may be the text to be worked on, where nothing may be touched. */
export const materialFollows =
  /翻译|译成|译为|改写|润色|校对|改错|续写|扩写|缩写|仿写|复述|回复|回信|怎么说|(?<!不好)意思|情感|语气|这句|这段|这封|下面|以下|上面|原文|标点|造句|病句|怎么回|如何回|怎么读|礼貌|敬语|\b(?:translat\w*|rewrit\w*|rephras\w*|paraphras\w*|proofread\w*|polish\w*|correct\w*|edit\w*|summari[sz]\w*|repl(?:y|ies)|respond\w*|sentences?|phrases?|following|sa(?:ys?|id|ying)|mean(?:s|ing)?|classif\w*|sentiment|tone|spell\w*|pronounce\w*|polite\w*|lyrics?|quot\w*|this (?:text|email|e-mail|letter|message))\b/iu;

/** Words that ask about a wording, a title or a phrase: what stands before them is that wording, and the whole message stays. */
export const materialBefore =
  /怎么写|怎么回|的英文|的英语|的日语|的话术|的格式|的典故|什么典故|的写法|的读法|什么电影|什么歌|歌词|谁唱|\b(?:lyrics?|idioms?|chords?|plot|album|movie|film|song|musical|by whom)\b/iu;

/** Stretches that are never touched: code, quotations, titles, addresses, mathematics, marks. */
export const protectedPattern =
  /```[\s\S]*?(?:```|$)|~~~[\s\S]*?(?:~~~|$)|`[^`\n]*`|“[^”]*(?:”|$)|‘[^’]*(?:’|$)|「[^」]*(?:」|$)|『[^』]*(?:』|$)|《[^》]*(?:》|$)|【[^】]*(?:】|$)|"[^"]*(?:"|$)|(?<![\p{L}\p{N}])'[^'\n]*'(?![\p{L}\p{N}])|\$\$[\s\S]*?\$\$|<[^>\n]+>|https?:\/\/\S+|^(?:>| {4}|\t).*$/gmu;
