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
      return grammar.text;
  }
}
