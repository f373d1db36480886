import assert from "node:assert/strict";
import test from "node:test";
import { Store } from "./store.ts";
import { builtInTemplates } from "./template-list.ts";
import { fieldsUsed, fillTemplate, fixedBeginning } from "./template-text.ts";
import { Templates } from "./templates.ts";

const own = {
  name: "问候",
  prompt: "写给{{who}}\n内容：{{what}}{{#more}}\n另：{{more|join}}{{/more}}",
  fields: [
    { id: "who", kind: "line", label: "谁", isRequired: true },
    { id: "what", kind: "list", label: "什么" },
    { id: "more", kind: "text", label: "另外" },
  ],
};

for (const template of builtInTemplates) {
  for (const language of ["zh", "en"] as const) {
    const body = template[language];
    test(`${template.id} (${language}) uses each of its fields and no other`, () => {
      assert.deepEqual(fieldsUsed(body.prompt).toSorted(), body.fields.map(({ id }) => id).toSorted());
      assert.ok(body.name !== "" && body.about !== "");
    });
    test(`${template.id} (${language}) makes a prompt from what is required alone`, () => {
      const values = Object.fromEntries(
        body.fields.filter(({ isRequired }) => isRequired).map(({ id }) => [id, `【${id}】`]),
      );
      const prompt = fillTemplate(body, values);
      for (const value of Object.values(values)) assert.ok(prompt.includes(value), `${value} is missing in ${prompt}`);
      assert.doesNotMatch(prompt, /\{\{|\}\}/);
    });
  }
}

test("the four of the first day come first and are worded as the bundled model knows them", () => {
  const [weekly, rewrite, analyse, translate] = builtInTemplates;
  assert.equal(
    weekly && fillTemplate(weekly.zh, { kind: "week", points: "1. 完成评审\n- 联调 60%" }),
    "请把下面的要点整理成一份正式的周报：\n- 完成评审\n- 联调 60%",
  );
  assert.equal(rewrite && fillTemplate(rewrite.zh, { text: "得等到周五" }), "请把下面这段话改得正式一点：\n得等到周五");
  assert.equal(
    analyse && fillTemplate(analyse.zh, { region: "华东", change: "-12.5%", contributors: "线上：-8.1%" }),
    "请根据下面的数据写一段结论，数字必须原样照抄：\n地区：华东\n同比变化：-12.5%\n主要贡献项：\n- 线上：-8.1%",
  );
  assert.equal(
    translate && fillTemplate(translate.zh, { text: "请审核", glossary: "甲=A\n乙=B" }),
    "请把下面的内容翻译成英文\n术语表：甲=A；乙=B：\n请审核",
  );
});

test("a value that looks like a field stays what it is", () => {
  const template = { prompt: "{{a}} and {{b}}", fields: [line("a"), line("b")] };
  assert.equal(fillTemplate(template, { a: "{{b}}", b: "$& {{a}}" }), "{{b}} and $& {{a}}");
});

test("a required field that is empty is named", () => {
  const template = { prompt: "{{a}}", fields: [{ ...line("a"), isRequired: true }] };
  assert.throws(() => fillTemplate(template, { a: "  " }), { code: "bad_request", param: "values.a" });
});

test("a value for no field and a choice that is none are refused", () => {
  const template = {
    prompt: "{{a}}",
    fields: [{ id: "a", kind: "choice" as const, label: "A", options: [{ id: "x", label: "X" }] }],
  };
  assert.throws(() => fillTemplate(template, { other: "x" }), { code: "bad_request" });
  assert.throws(() => fillTemplate(template, { a: "y" }), { code: "bad_request", param: "values.a" });
  assert.equal(fillTemplate(template, {}), "X");
});

test("the fixed beginning ends where the first field or section begins", () => {
  assert.equal(fixedBeginning("Dear {{who}}"), "Dear ");
  assert.equal(fixedBeginning("A{{#x}}B{{/x}}"), "A");
  assert.equal(fixedBeginning("nothing varies"), "nothing varies");
});

test("saving one's own template again makes a version; the older one stays readable", () => {
  using store = new Store({ file: ":memory:" });
  const templates = new Templates(store);
  const { id, version } = templates.save(own, { language: "zh" });
  assert.equal(version, 1);
  assert.equal(templates.save({ ...own, name: "问候二" }, { id, language: "zh" }).version, 2);
  assert.deepEqual(
    templates.versions(id, "zh").map(({ name }) => name),
    ["问候二", "问候"],
  );
  assert.equal(templates.get(id, { language: "zh", version: 1 }).name, "问候");
  assert.deepEqual(
    templates
      .list("zh")
      .filter(({ isOwn }) => isOwn)
      .map(({ name }) => name),
    ["问候二"],
  );
  templates.delete(id);
  assert.equal(templates.list("zh").length, builtInTemplates.length);
  templates.restore(id);
  assert.equal(templates.list("zh").length, builtInTemplates.length + 1);
});

test("a template that comes with Quern cannot be overwritten or deleted", () => {
  using store = new Store({ file: ":memory:" });
  const templates = new Templates(store);
  assert.throws(() => templates.save(own, { id: "rewrite", language: "zh" }), { code: "conflict" });
  assert.throws(() => templates.delete("rewrite"), { code: "not_found" });
});

const faulty: readonly [string, unknown][] = [
  ["no object", []],
  ["no name", { ...own, name: " " }],
  ["a field that the prompt uses and nobody has", { ...own, prompt: "{{nobody}}" }],
  ["a section that nobody has", { ...own, prompt: "{{#nobody}}x{{/nobody}}" }],
  ["two fields of one name", { ...own, fields: [own.fields[0], ...own.fields] }],
  [
    "a choice without options",
    { ...own, fields: [...own.fields, { id: "c", kind: "choice", label: "C", options: [] }] },
  ],
  ["an unknown kind", { ...own, fields: [{ id: "who", kind: "colour", label: "x" }] }],
  ["a field name with spaces", { ...own, prompt: "x", fields: [{ id: "a b", kind: "line", label: "x" }] }],
  ["an unknown temperature", { ...own, temperature: "hot" }],
  ["a text that is a number", { ...own, prompt: 5 }],
];

for (const [fault, body] of faulty) {
  test(`a template with ${fault} is refused`, () => {
    using store = new Store({ file: ":memory:" });
    assert.throws(() => new Templates(store).save(body, { language: "en" }), { code: "bad_request" });
  });
}

function line(id: string) {
  return { id, kind: "line" as const, label: id };
}
