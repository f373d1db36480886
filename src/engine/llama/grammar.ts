// Every kind of grammar as GBNF, the form llama.cpp enforces while sampling.
import { AppError } from "../../base/errors.ts";
import type { Grammar } from "../contract.ts";
import { gbnfOfSchema, quoted } from "./json-schema-gbnf.ts";

/** Throws `bad_request` or `unsupported` for a schema that cannot be enforced; llama.cpp itself judges a GBNF text. */
export function gbnfOf(grammar: Grammar): string {
  switch (grammar.kind) {
    case "json":
      return gbnfOfSchema({ type: "object" });
    case "json_schema":
      return gbnfOfSchema(grammar.schema);
    case "choice":
      return `root ::= ${grammar.options.map(quoted).join(" | ")}\n`;
    case "gbnf":
      if (grammar.text.length > 200_000) {
        throw new AppError("too_large", `The grammar has ${grammar.text.length} characters; 200000 are allowed.`, {
          param: "grammar",
        });
      }
      if (deepestNesting(grammar.text) > 100) {
        throw new AppError("bad_request", "The grammar nests more than 100 parentheses.", { param: "grammar" });
      }
      return grammar.text;
  }
}

/** llama.cpp parses parentheses by recursion and dies of ten thousands of them. Counts those in literals too: more than enough. */
function deepestNesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === "(") deepest = Math.max(deepest, ++depth);
    else if (character === ")") depth--;
  }
  return deepest;
}
