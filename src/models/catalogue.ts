// Which models Quern knows, where their files are, and which one a name means. Names, hashes and sampling defaults are here and
// nowhere else; how a file comes over the network is download.ts's business.
//
// Each entry pins the SHA-256 of its file. A hub may offer another upload under the same name one day; it is then refused rather
// than run unseen, and the pinned revision, which a hub never changes, is asked instead.
import { existsSync, readdirSync, realpathSync, rmSync, type Stats, statSync } from "node:fs";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import { lockHolder, partBytes, partNames } from "./part-file.ts";

export interface SamplingDefaults {
  temperature: number;
  topP: number;
  topK: number;
  minP: number;
  /** Absent: an answer may use what the context leaves. */
  maxTokens?: number;
}

export interface HubSource {
  repository: string;
  file: string;
  /** Branches, tags or commits, tried in this order until one offers the pinned file. */
  revisions: readonly string[];
}

/** A sentence for people, in each language that the page speaks. */
export interface About {
  en: string;
  zh: string;
}

export interface CatalogueEntry {
  id: string;
  about: About;
  fileName: string;
  fileBytes: number;
  /** Of the whole file, lower-case hexadecimal. */
  sha256: string;
  contextTokens: number;
  isDemonstration: boolean;
  defaults: SamplingDefaults;
  /** Absent for a model that comes with Quern. */
  sources?: { huggingface: HubSource; modelscope: HubSource };
}

const bundledFolder = path.join(import.meta.dirname, "../../models/quern-mini");

export const qwen3Instruct: CatalogueEntry = {
  id: "qwen3-4b-instruct-2507",
  about: {
    en: "Qwen3-4B-Instruct-2507, Q4_K_M: the model Quern is made for.",
    zh: "Qwen3-4B-Instruct-2507，Q4_K_M：Quern 为它而做。",
  },
  fileName: "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
  fileBytes: 2_497_281_120,
  sha256: "3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597",
  contextTokens: 262_144,
  isDemonstration: false,
  // The model card's own recommendation.
  defaults: { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 },
  sources: {
    huggingface: {
      repository: "unsloth/Qwen3-4B-Instruct-2507-GGUF",
      file: "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
      revisions: ["main", "a06e946bb6b655725eafa393f4a9745d460374c9"],
    },
    modelscope: {
      repository: "unsloth/Qwen3-4B-Instruct-2507-GGUF",
      file: "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
      revisions: ["master", "0b0406b39725d752255ffeb48f102c66f98e14aa"],
    },
  },
};

export const quernMini: CatalogueEntry = {
  id: "quern-mini",
  about: {
    en: "Demonstration model that comes with Quern: shows that everything works, not for work.",
    zh: "随 Quern 附带的演示模型：证明一切运转正常，不用来干活。",
  },
  fileName: "quern-mini-q4_k_m.gguf",
  fileBytes: 21_037_760,
  sha256: "bdff81d05f231959c51c8e44d71e3732b4003a0828723805fadb5d8336577063",
  contextTokens: 16_384,
  isDemonstration: true,
  // Outside its patterns it can loop: models/quern-mini/README.md.
  defaults: { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 1024 },
};

export const catalogue: readonly CatalogueEntry[] = [qwen3Instruct, quernMini];

export interface ResolvedModel {
  /** The catalogue's id, or the file's name without its ending. */
  id: string;
  /** Absolute. */
  file: string;
  isDemonstration: boolean;
  defaults: SamplingDefaults;
  /** Why it is not the model that `auto` would rather take. */
  note?: string;
}

export interface ListedModel {
  id: string;
  about: About;
  file: string;
  /** Of the whole file; what a damaged or partial one has instead is `presentBytes`. */
  fileBytes: number;
  presentBytes: number;
  /** `partial`: a download was begun and can be resumed. `damaged`: the file has another size than it should. */
  state: "bundled" | "downloaded" | "partial" | "absent" | "damaged" | "own file";
  isDemonstration: boolean;
}

export function modelsFolder(dataFolder: string): string {
  return path.join(dataFolder, "models");
}

/** Where an entry's file is or will be. */
export function fileOf(entry: CatalogueEntry, dataFolder: string): string {
  return path.join(entry.sources ? modelsFolder(dataFolder) : bundledFolder, entry.fileName);
}

/** Throws AppError `not_found` listing the names there are. */
export function entryNamed(id: string): CatalogueEntry {
  const entry = catalogue.find((candidate) => candidate.id === id.toLowerCase());
  if (entry) return entry;
  throw new AppError("not_found", `There is no model called "${id}".`, {
    param: "model",
    hint: `Models are ${catalogue.map((known) => known.id).join(", ")}, auto, or the path of a GGUF file.`,
  });
}

/**
 * The file that `--model` means. `auto` takes the real model when it is downloaded, else the bundled one with a note; a path to a
 * .gguf file is taken as it is, and its name alone is looked for in the data folder's models too.
 */
export function resolveModel({ model, dataFolder }: { model: string; dataFolder: string }): ResolvedModel {
  if (model === "auto") return automatic(dataFolder);
  if (/\.gguf$/i.test(model)) return ownFile(model, dataFolder);
  const entry = entryNamed(model);
  const found = listed(entry, dataFolder);
  if (found.state === "bundled" || found.state === "downloaded") return resolved(entry, dataFolder);
  throw new AppError("not_found", whyNot(found), {
    param: "model",
    hint: pullHint(entry),
    details: { file: fileOf(entry, dataFolder) },
  });
}

/** Every model of the catalogue with its state, then the user's own GGUF files in the data folder. */
export function listModels(dataFolder: string): ListedModel[] {
  const folder = modelsFolder(dataFolder);
  const known = new Set(catalogue.map(({ fileName }) => fileName));
  const own = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => /\.gguf$/i.test(name) && !known.has(name))
    .toSorted()
    .flatMap((name): ListedModel[] => {
      const file = path.join(folder, name);
      const bytes = statOf(file)?.size;
      if (bytes === undefined) return [];
      const about = { en: "A file of your own in the data folder.", zh: "你自己放进数据文件夹的文件。" };
      return [
        { id: name, about, file, fileBytes: bytes, presentBytes: bytes, state: "own file", isDemonstration: false },
      ];
    });
  return [...catalogue.map((entry) => listed(entry, dataFolder)), ...own];
}

/** Deletes a downloaded model with all traces of its download; returns the bytes that were freed. */
export function removeModel(id: string, dataFolder: string): number {
  const entry = entryNamed(id);
  if (!entry.sources)
    throw new AppError("bad_request", `${entry.id} comes with Quern and cannot be removed.`, { param: "model" });
  const file = fileOf(entry, dataFolder);
  const holder = lockHolder(file);
  if (holder !== undefined)
    throw new AppError("conflict", `${entry.id} is being downloaded by process ${holder}.`, {
      hint: "Stop that download first.",
    });
  const freedBytes = (statOf(file)?.size ?? 0) + partBytes(file);
  for (const name of [file, ...Object.values(partNames(file))]) rmSync(name, { force: true });
  return freedBytes;
}

export function pullHint(entry: CatalogueEntry): string {
  return `Fetch it with: npx quern models pull ${entry.id} (in China: --hub modelscope)`;
}

function automatic(dataFolder: string): ResolvedModel {
  const real = listed(qwen3Instruct, dataFolder);
  if (real.state === "downloaded") return resolved(qwen3Instruct, dataFolder);
  return { ...resolved(quernMini, dataFolder), note: whyNot(real) };
}

function whyNot({ id, state, presentBytes, fileBytes }: ListedModel): string {
  const size = `${presentBytes} of ${fileBytes} bytes`;
  if (state === "partial") return `The model ${id} is only partly downloaded: ${size} are there.`;
  return `The model ${id} is ${state === "damaged" ? `damaged: its file has ${size}` : "not downloaded"}.`;
}

function resolved(entry: CatalogueEntry, dataFolder: string): ResolvedModel {
  const file = fileOf(entry, dataFolder);
  if (!existsSync(file))
    throw new AppError("not_found", `The bundled model is missing: there is no ${file}.`, {
      hint: "Quern's installation is not complete. Get it again.",
    });
  return { id: entry.id, file, isDemonstration: entry.isDemonstration, defaults: entry.defaults };
}

function ownFile(model: string, dataFolder: string): ResolvedModel {
  const places = [path.resolve(model), path.join(modelsFolder(dataFolder), path.basename(model))];
  const file = places.find(
    (place, index) => statOf(place)?.isFile() && (index === 0 || path.basename(model) === model),
  );
  if (file === undefined)
    throw new AppError("not_found", `There is no model file ${places[0]}.`, {
      param: "model",
      hint: `Check the path, or name a model of the catalogue: ${catalogue.map(({ id }) => id).join(", ")}.`,
    });
  // The same file under its path is still the same model, above all the demonstration model.
  const entry = catalogue.find((known) => samePlace(fileOf(known, dataFolder), file));
  if (entry) return { ...resolved(entry, dataFolder), file };
  const id = path.basename(file).replace(/\.gguf$/i, "");
  return { id, file, isDemonstration: false, defaults: qwen3Instruct.defaults };
}

function samePlace(one: string, other: string): boolean {
  return existsSync(one) && existsSync(other) && realpathSync(one) === realpathSync(other);
}

function listed(entry: CatalogueEntry, dataFolder: string): ListedModel {
  const { id, about, fileBytes, isDemonstration } = entry;
  const file = fileOf(entry, dataFolder);
  const wholeBytes = statOf(file)?.size;
  const presentBytes = wholeBytes ?? partBytes(file);
  const state = (): ListedModel["state"] => {
    if (!entry.sources) return "bundled";
    if (wholeBytes !== undefined) return wholeBytes === fileBytes ? "downloaded" : "damaged";
    return presentBytes > 0 ? "partial" : "absent";
  };
  return { id, about, file, fileBytes, presentBytes, state: state(), isDemonstration };
}

function statOf(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false });
}
