// GET /openapi.json: the description of every address, for client generators and for people who look for a field's name. It says what
// this server has: without a workspace or an office their addresses are not in it. openapi-paths.ts holds the table.
import type { Api, ApiContext } from "./api.ts";
import { type Described, modelPaths, officePaths, workspaceDescriptions } from "./openapi-paths.ts";
import { schemas } from "./openapi-schemas.ts";

export function openApiRoute({ hasWorkspace, hasKeys }: { hasWorkspace: boolean; hasKeys: boolean }) {
  return (context: ApiContext, api: Api): Response =>
    context.json(openApi({ version: api.version, hasOffice: api.office !== undefined, hasWorkspace, hasKeys }));
}

export function openApi(options: {
  version: string;
  hasOffice: boolean;
  hasWorkspace: boolean;
  hasKeys: boolean;
}): object {
  const { version, hasOffice, hasWorkspace, hasKeys } = options;
  const described = [...modelPaths, ...(hasOffice ? officePaths : []), ...(hasWorkspace ? workspaceDescriptions : [])];
  return {
    openapi: "3.1.0",
    info: { title: "Quern", version, description: "Qwen3 on one GPU: chat, documents, analyses. See docs/api.md." },
    servers: [{ url: "/" }],
    ...(hasKeys ? { security: [{ key: [] }] } : {}),
    paths: pathsOf(described),
    components: { schemas, securitySchemes: { key: { type: "http", scheme: "bearer" } } },
  };
}

function pathsOf(described: readonly Described[]): Record<string, object> {
  const paths: Record<string, Record<string, object>> = {};
  for (const each of described) {
    for (const path of each.isEither ? [each.path, `/v1${each.path}`] : [each.path]) {
      const spelt = path.replaceAll(/:(\w+)/g, "{$1}");
      paths[spelt] = { ...paths[spelt], [each.method.toLowerCase()]: operationOf(each, path) };
    }
  }
  return paths;
}

function operationOf(
  { method, summary, tag, query = [], body, answer = "json", isOpen }: Described,
  path: string,
): object {
  const name = path.replaceAll(/[/:.]+(\w?)/g, (_match, letter: string) => letter.toUpperCase());
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, id]) => parameter(id ?? "", "path")),
    ...query.map((id) => parameter(id, "query")),
  ];
  return {
    operationId: `${method.toLowerCase()}${name.replaceAll(/[^\w]/g, "")}`,
    summary,
    tags: [tag],
    ...(isOpen ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: bodyContent(body) } } : {}),
    responses: {
      "200": { description: "Done.", content: answerContent(answer) },
      default: { description: "Refused or failed.", content: jsonContent({ $ref: "#/components/schemas/Error" }) },
    },
  };
}

function parameter(name: string, place: "path" | "query"): object {
  return { name, in: place, required: place === "path", schema: { type: "string" } };
}

const jsonContent = (schema: object): object => ({ "application/json": { schema } });

function bodyContent(body: NonNullable<Described["body"]>): object {
  const schema = typeof body === "string" ? schemaOf(body) : schemaOf(body.schema);
  if (typeof body === "string") return jsonContent(schema);
  const raw: Readonly<Record<string, object>> = {
    "text/plain": schemaOf("text"),
    "application/octet-stream": schemaOf("binary"),
  };
  return Object.fromEntries(body.types.map((type) => [type, { schema: raw[type] ?? schema }]));
}

function answerContent(answer: NonNullable<Described["answer"]>): object {
  if (answer === "json") return jsonContent({ type: "object" });
  const [type, schema] = Array.isArray(answer) ? answer : ["application/json", answer];
  const streamed = schema === "ChatCompletion" ? { "text/event-stream": { schema: schemaOf("ChatChunk") } } : {};
  return { [type]: { schema: schemaOf(schema) }, ...streamed };
}

/** A named schema of openapi-schemas.ts, or the plain kinds "text" and "binary". */
function schemaOf(name: string): object {
  if (name === "object") return { type: "object" };
  if (name === "text") return { type: "string" };
  if (name === "binary") return { type: "string", format: "binary" };
  return { $ref: `#/components/schemas/${name}` };
}
