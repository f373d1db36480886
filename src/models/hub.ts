// Where model files are on the network: Hugging Face, ModelScope, or a mirror that has Hugging Face's paths. It finds the address of
// an entry's file and learns, before anything large is fetched, what the hub says of it.
//
// Hugging Face answers a request for a large file with a redirect to its store; the redirect carries X-Linked-Size and
// X-Linked-Etag, the SHA-256. So redirects are followed by hand here. One byte is asked for with GET, not HEAD: the store's signed
// addresses are good for GET only, and the answer also tells whether ranges work. ModelScope states the hash in its file listing.
import { z } from "zod";
import { AppError } from "../base/errors.ts";
import type { CatalogueEntry, HubSource } from "./catalogue.ts";
import {
  contentRange,
  hostOf,
  type Patience,
  refuseStatus,
  request,
  TransferFault,
  watchStall,
  withRetries,
} from "./transfer.ts";

export interface Hub {
  /** As the user named it. */
  name: string;
  /** What to try when this hub fails. */
  hint: string;
  sourceOf(entry: CatalogueEntry): HubSource;
  addressOf(source: HubSource, revision: string): string;
  /** The address of a JSON listing of the repository's files, where the hub has one with hashes. */
  listingOf?(source: HubSource, revision: string): string;
}

export interface OfferedFile {
  url: string;
  takesRanges: boolean;
}

/** A hub by name or by the address of a mirror. Throws AppError `bad_request` for what is neither. */
export function hubNamed(name: string): Hub {
  const base = { huggingface: "https://huggingface.co", modelscope: "https://modelscope.cn" }[name] ?? name;
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol))
    throw new AppError("bad_request", `"${name}" is no hub.`, {
      param: "hub",
      hint: "A hub is huggingface, modelscope, or the address of a mirror such as https://hf-mirror.com.",
    });
  const root = base.replace(/\/+$/, "");
  return /(^|\.)modelscope\.cn$/.test(new URL(root).hostname) ? modelscopeAt(name, root) : huggingface(name, root);
}

function huggingface(name: string, root: string): Hub {
  const other = name === "huggingface" ? "try --hub modelscope" : "try another --hub: huggingface or modelscope";
  return {
    name,
    hint: `Check the network (a proxy is taken from HTTPS_PROXY with NODE_USE_ENV_PROXY=1), or ${other}.`,
    sourceOf: (entry) => sourcesOf(entry).huggingface,
    addressOf: ({ repository, file }, revision) => `${root}/${repository}/resolve/${revision}/${encoded(file)}`,
  };
}

/** A hub with ModelScope's paths and file listing. */
export function modelscopeAt(name: string, root: string): Hub {
  return {
    name,
    hint: "Check the network (a proxy is taken from HTTPS_PROXY with NODE_USE_ENV_PROXY=1), or try --hub huggingface.",
    sourceOf: (entry) => sourcesOf(entry).modelscope,
    addressOf: ({ repository, file }, revision) => `${root}/models/${repository}/resolve/${revision}/${encoded(file)}`,
    listingOf: ({ repository }, revision) =>
      `${root}/api/v1/models/${repository}/repo/files?Revision=${encodeURIComponent(revision)}&Recursive=true`,
  };
}

function sourcesOf(entry: CatalogueEntry): { huggingface: HubSource; modelscope: HubSource } {
  if (entry.sources) return entry.sources;
  throw new AppError("bad_request", `${entry.id} comes with Quern; there is nothing to fetch.`, { param: "model" });
}

const encoded = (file: string): string => file.split("/").map(encodeURIComponent).join("/");

/**
 * Finds the revision under which the hub offers exactly the pinned file. A file of another hash or length is refused before it is
 * fetched. Throws TransferFault.
 */
export async function findOffer(
  entry: CatalogueEntry,
  { hub, patience, signal }: { hub: Hub; patience: Patience; signal: AbortSignal },
): Promise<OfferedFile> {
  const source = hub.sourceOf(entry);
  let firstFault: unknown;
  for (const revision of source.revisions) {
    try {
      const url = hub.addressOf(source, revision);
      const stated: Stated = { takesRanges: false };
      await withRetries(
        async () => {
          const listing = hub.listingOf?.(source, revision);
          if (listing) Object.assign(stated, await listed(listing, { file: source.file, patience, signal }));
          Object.assign(stated, await probed(url, { patience, signal }));
        },
        { patience: { ...patience, retries: Math.min(patience.retries, 3) }, signal, hasGained: () => false },
      );
      refuseOtherFile(stated, { entry, url });
      return { url, takesRanges: stated.takesRanges };
    } catch (fault) {
      signal.throwIfAborted();
      // What no other revision can mend: the network, or a hub that is down.
      if (!(fault instanceof TransferFault) || fault.isRetryable) throw fault;
      firstFault ??= fault;
    }
  }
  throw firstFault;
}

interface Stated {
  totalBytes?: number;
  sha256?: string;
  takesRanges: boolean;
}

function refuseOtherFile({ totalBytes, sha256 }: Stated, { entry, url }: { entry: CatalogueEntry; url: string }): void {
  if (sha256 !== undefined && sha256 !== entry.sha256)
    throw new TransferFault(
      `${hostOf(url)} offers another ${entry.fileName} than the one Quern was tested with (SHA-256 ${sha256.slice(0, 12)}… instead of ${entry.sha256.slice(0, 12)}…)`,
      { isRetryable: false },
    );
  if (totalBytes !== undefined && totalBytes !== entry.fileBytes)
    throw new TransferFault(
      `${hostOf(url)} says ${entry.fileName} has ${totalBytes} bytes; it should have ${entry.fileBytes}`,
      {
        isRetryable: false,
      },
    );
}

const redirectLimit = 10;

async function probed(
  address: string,
  { patience, signal }: { patience: Patience; signal: AbortSignal },
): Promise<Stated> {
  using watch = watchStall(patience.stallMs, signal);
  let url = address;
  let linked: Partial<Stated> = {};
  for (let hop = 0; hop <= redirectLimit; hop++) {
    const response = await request(url, { range: { start: 0, end: 1 }, watch, redirect: "manual" });
    await response.body?.cancel();
    linked = { ...linked, ...linkedFacts(response.headers) };
    const location = response.headers.get("location");
    if (response.status >= 300 && response.status < 400 && location !== null) {
      if (!URL.canParse(location, url)) break;
      url = new URL(location, url).href;
      continue;
    }
    refuseStatus(response, url);
    const isPartial = response.status === 206;
    const length = response.headers.get("content-length");
    const totalBytes = isPartial ? contentRange(response).total : length === null ? undefined : Number(length);
    return { ...(totalBytes === undefined ? {} : { totalBytes }), ...linked, takesRanges: isPartial };
  }
  throw new TransferFault(`${hostOf(address)} redirects without end`, { isRetryable: false });
}

function linkedFacts(headers: Headers): Partial<Stated> {
  // A plain ETag is no substitute: the store's is a hash of another kind, of the same length.
  const etag = headers.get("x-linked-etag") ?? "";
  const sha256 = /^(?:W\/)?"?([0-9a-f]{64})"?$/i.exec(etag)?.[1]?.toLowerCase();
  const size = headers.get("x-linked-size");
  return { ...(sha256 === undefined ? {} : { sha256 }), ...(size === null ? {} : { totalBytes: Number(size) }) };
}

const listingSchema = z.object({
  Data: z.object({
    Files: z.array(z.object({ Path: z.string(), Size: z.number().optional(), Sha256: z.string().optional() })),
  }),
});

/** What a listing says of a file: advice only. Without it, or in a form we do not know, the pinned hash decides in the end. */
async function listed(
  address: string,
  { file, patience, signal }: { file: string; patience: Patience; signal: AbortSignal },
): Promise<Partial<Stated>> {
  using watch = watchStall(patience.stallMs, signal);
  try {
    const response = await request(address, { range: undefined, watch });
    refuseStatus(response, address);
    const listing = listingSchema.safeParse(await response.json());
    const found = listing.success ? listing.data.Data.Files.find(({ Path }) => Path === file) : undefined;
    return {
      ...(found?.Size === undefined ? {} : { totalBytes: found.Size }),
      ...(found?.Sha256 ? { sha256: found.Sha256.toLowerCase() } : {}),
    };
  } catch {
    signal.throwIfAborted();
    return {};
  }
}
