// What reads the files of a single command, where no server runs that would: its store is a folder that goes with the command.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { OfficeDoor } from "../server/office/office-door.ts";
import { openWorkspace } from "../workspace/workspace.ts";

export function openPassingOffice(): AsyncDisposable & { office: OfficeDoor } {
  const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-run-"));
  const workspace = openWorkspace(dataFolder);
  const office = new OfficeDoor({ files: workspace.files, dataFolder });
  return {
    office,
    async [Symbol.asyncDispose]() {
      await office[Symbol.asyncDispose]();
      workspace[Symbol.dispose]();
      rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}
