// The calls around files: upload, reading with its progress, pictures of pages, analyses, and files made of them.
import type {
  AnalysisBody,
  AnalysisEventBody,
  AttachedDocument,
  DocumentBody,
  DocumentEvent,
  OverridesBody,
  PlanBody,
  TableBody,
  TablesEvent,
} from "../../src/server/api-types.ts";
import { ApiError, readStream, request } from "../api.ts";

/** Reading hundreds of scanned pages takes its time; only the person ends it. */
const never = new AbortController().signal;

export async function uploadFile(file: File, signal: AbortSignal): Promise<{ id: string; filename: string }> {
  const body = new FormData();
  body.set("purpose", "user_data");
  body.set("file", file);
  const response = await request("/v1/files", { method: "POST", body, signal });
  return (await response.json()) as { id: string; filename: string };
}

export interface ReadFile {
  document: DocumentBody;
  tokens: number;
}

export async function readFile(
  fileId: string,
  { password, edits }: Pick<AttachedDocument, "password" | "edits">,
  { signal, onProgress }: { signal: AbortSignal; onProgress?: (event: DocumentEvent & { type: "progress" }) => void },
): Promise<ReadFile> {
  const body = {
    file_id: fileId,
    stream: true,
    tokens: true,
    ...(password ? { password } : {}),
    ...(edits ? { edits } : {}),
  };
  for await (const event of readStream<DocumentEvent>("/v1/documents", signal, body)) {
    if (event.type === "progress") onProgress?.(event);
    else if (event.type === "document") return { document: event.document, tokens: event.tokens ?? 0 };
  }
  throw new ApiError("cut", "The reading ended without a result.");
}

/** The picture of a page as an address for `<img>`; give it back with URL.revokeObjectURL. */
export async function pagePicture(
  fileId: string,
  page: { number: number; turnedBy?: number; levelledBy?: number },
  { password, signal }: { password?: string | undefined; signal: AbortSignal },
): Promise<string> {
  const query = new URLSearchParams({
    pixels: "1400",
    turned: String(page.turnedBy ?? 0),
    levelled: String(page.levelledBy ?? 0),
  });
  const headers = password === undefined ? {} : { "quern-password": encodeURIComponent(password) };
  const response = await request(`/v1/files/${fileId}/pages/${page.number}?${query}`, { headers, signal });
  return URL.createObjectURL(await response.blob());
}

export type ReadingStage = (TablesEvent & { type: "progress" })["stage"];

/** The tables of a file; a large one tells its stages on the way. */
export async function readTables(
  fileId: string,
  {
    overrides,
    signal,
    onStage,
  }: { overrides: OverridesBody; signal: AbortSignal; onStage: (stage: ReadingStage) => void },
): Promise<readonly TableBody[]> {
  const query = new URLSearchParams({ stream: "true", overrides: JSON.stringify(overrides) });
  for await (const event of readStream<TablesEvent>(`/v1/files/${fileId}/tables?${query}`, signal)) {
    if (event.type === "progress") onStage(event.stage);
    else return event.tables;
  }
  throw new ApiError("cut", "The reading ended without a result.");
}

export interface AnalysisQuestion {
  file_id: string;
  language: "zh" | "en";
  table?: string;
  plan?: Partial<PlanBody>;
  question?: string;
  previous?: PlanBody;
  chart?: string;
  narrate?: boolean;
  overrides?: OverridesBody;
}

export function analyse(question: AnalysisQuestion, signal: AbortSignal): AsyncGenerator<AnalysisEventBody> {
  return readStream<AnalysisEventBody>("/v1/analysis", signal, { ...question, stream: true });
}

export async function makeFile(
  body:
    | { format: string; analysis: AnalysisBody; file_id: string; overrides: OverridesBody }
    | { format: string; markdown: string },
): Promise<{ blob: Blob; name: string }> {
  const response = await request("/v1/deliverables", { ...json(body), signal: never });
  const name = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("content-disposition") ?? "")?.[1];
  return { blob: await response.blob(), name: name === undefined ? `quern.${body.format}` : decodeURIComponent(name) };
}

/** Lets the browser save a file. */
export function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const json = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
