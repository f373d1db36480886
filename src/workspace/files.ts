// Files by content: the bytes lie once under their SHA-256, however often and under whatever names they came. A file is on disk, synced and
// renamed into place, before its row exists.
import { createHash, randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import path from "node:path";
import { AppError } from "../base/errors.ts";
import type { Row, Store } from "./store.ts";

export interface StoredFile {
  id: string;
  sha256: string;
  name: string;
  bytes: number;
  mediaType: string;
  createdAt: number;
}

export class Files {
  readonly #store: Store;
  readonly #folder: string;

  constructor(store: Store, folder: string) {
    this.#store = store;
    this.#folder = folder;
  }

  add(content: Uint8Array, options: { name: string; mediaType: string }): StoredFile {
    const sha256 = createHash("sha256").update(content).digest("hex");
    this.#write(sha256, content);
    const id = randomUUID();
    this.#store.run(
      "INSERT INTO files (id, sha256, name, bytes, media_type, created_at) VALUES (?, ?, ?, ?, ?, ?)",
      id,
      sha256,
      toPlainName(options.name),
      content.byteLength,
      options.mediaType,
      this.#store.now(),
    );
    return this.get(id);
  }

  /** Throws `not_found` for an unknown or deleted file. */
  get(id: string): StoredFile {
    const row = this.#store.row("SELECT * FROM files WHERE id = ? AND deleted_at IS NULL", id);
    if (!row) throw new AppError("not_found", `There is no file ${id}.`);
    return toStoredFile(row);
  }

  list(): StoredFile[] {
    return this.#store
      .rows("SELECT * FROM files WHERE deleted_at IS NULL ORDER BY created_at DESC, id")
      .map(toStoredFile);
  }

  read(id: string): Buffer {
    const { sha256, name } = this.get(id);
    try {
      return readFileSync(this.#pathOf(sha256));
    } catch (cause) {
      throw new AppError("storage", `The content of ${name} is missing from the data folder.`, {
        hint: "Upload it again, or restore a backup.",
        cause,
      });
    }
  }

  delete(id: string): void {
    this.get(id);
    this.#store.run("UPDATE files SET deleted_at = ? WHERE id = ?", this.#store.now(), id);
  }

  #pathOf(sha256: string): string {
    return path.join(this.#folder, sha256.slice(0, 2), sha256);
  }

  #write(sha256: string, content: Uint8Array): void {
    const target = this.#pathOf(sha256);
    if (existsSync(target)) return;
    mkdirSync(path.dirname(target), { recursive: true });
    const partial = `${target}.${randomUUID()}.part`;
    const descriptor = openSync(partial, "wx");
    try {
      for (let done = 0; done < content.byteLength; ) done += writeSync(descriptor, content, done);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, target);
  }
}

/** A name for people: no folders, no control characters, never empty. */
export function toPlainName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here
  const plain = last.replace(/[\u0000-\u001f\u007f]/g, "").trim();
  return plain === "" || plain === "." || plain === ".." ? "file" : plain.slice(0, 255);
}

function toStoredFile(row: Row): StoredFile {
  return {
    id: String(row.id),
    sha256: String(row.sha256),
    name: String(row.name),
    bytes: Number(row.bytes),
    mediaType: String(row.media_type),
    createdAt: Number(row.created_at),
  };
}
