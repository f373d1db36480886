// POST /v1/documents: reads a file and gives back what was found, without asking the model anything. JSON has every page and segment with
// its place; Markdown is what a model would be given. `edits` are applied, `tokens` counts what is left for the loaded model. With `stream` the
// pages read so far are told while it goes.
import { setImmediate as nextTurn } from "node:timers/promises";
import { toMarkdown } from "../../documents/document.ts";
import { documentJson } from "../../documents/document-json.ts";
import type { ReadProgress } from "../../documents/reader.ts";
import { answerWith } from "../answer-sink.ts";
import type { DocumentBody } from "../api-types.ts";
import { given } from "../fields.ts";
import { sinkOf } from "../serve-answer.ts";
import { streamEvents } from "../workspace/event-stream.ts";
import { withEdits } from "./document-edits.ts";
import type { OfficeHandler } from "./office-door.ts";
import { progressEvents } from "./progress-events.ts";
import { needFile, parseUpload } from "./upload.ts";

export const readDocumentRoute: OfficeHandler = async (context, api, office) => {
  const upload = await parseUpload(context, api, office);
  const file = needFile(upload);
  const { fields } = upload;
  const format = fields.choice("format", ["json", "markdown"]) ?? "json";
  const request = {
    ...given("password", fields.string("password")),
    ...given("ocr", fields.boolean("ocr")),
    ...given("clean", fields.boolean("clean")),
  };
  const wantsTokens = fields.boolean("tokens") ?? false;
  const read = async (signal: AbortSignal, onProgress?: (progress: ReadProgress) => void) => {
    const { hash, isFromCache, ...read } = await office.read(file, {
      ...request,
      signal,
      ...given("onProgress", onProgress),
    });
    const document = withEdits(read.document, fields);
    const tokens = wantsTokens ? (await api.engine.tokenize(document.text)).length : undefined;
    const content =
      format === "markdown"
        ? { markdown: toMarkdown(document, { pageMarks: true }), document: undefined }
        : { document: document satisfies DocumentBody };
    return { sha256: hash, from_cache: isFromCache, ...given("tokens", tokens), ...content };
  };
  if (fields.boolean("stream")) {
    return streamEvents(context, api, (signal) =>
      progressEvents<ReadProgress, Awaited<ReturnType<typeof read>>>(
        (onProgress) => read(signal, onProgress),
        "document",
      ),
    );
  }
  return answerWith(sinkOf(context, api), async (sink) => {
    const { document, ...rest } = await read(sink.signal);
    if (!document) return context.json(rest);
    // A long answer lets others have theirs between its pieces.
    sink.open(200, { "content-type": "application/json", ...context.var.commonHeaders });
    sink.write(`${JSON.stringify(rest).slice(0, -1)},"document":`);
    for (const piece of documentJson(document)) {
      await sink.write(piece);
      await nextTurn();
    }
    sink.write("}");
    sink.end();
    return undefined;
  });
};
