// A whole Quern as people start it, engine process and all, on the bundled model: what the page is tested against point by point. The model
// runs under another name too, as a file of one's own, because the page spares the demonstration model what it cannot do.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { parseSettings } from "../../src/base/settings.ts";
import { openService, type Service } from "../../src/cli/service.ts";
import { fileOf, quernMini } from "../../src/models/catalogue.ts";
import { pageFolder } from "./page-server.ts";

export const ownModel = "own.gguf";
/** Its head is a model's; the engine finds that a tensor is missing. */
const brokenModel = "broken.gguf";

export interface RealService extends AsyncDisposable, Pick<Service, "url" | "engine"> {}

export async function openRealService(...flags: string[]): Promise<RealService> {
  if (!existsSync(path.join(pageFolder, "index.html"))) throw new Error("The page is not built; run: npm run build");
  const data = mkdtempSync(path.join(os.tmpdir(), "quern-real-"));
  mkdirSync(path.join(data, "models"));
  copyFileSync(fileOf(quernMini, data), path.join(data, "models", ownModel));
  const bytes = readFileSync(fileOf(quernMini, data));
  bytes.write("output_none.weight", bytes.indexOf("output_norm.weight"), "latin1");
  writeFileSync(path.join(data, "models", brokenModel), bytes);
  const stop = new AbortController();
  // llama.cpp's threads spin, and tests run side by side on few cores.
  const parsed = parseSettings(["--data", data, "--port", "0", "--threads", "1", "--model", ownModel, ...flags], {});
  const service = await openService({ ...parsed, log: silentLog, signal: stop.signal, hasWorkspace: true });
  return {
    url: service.url,
    engine: service.engine,
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
