// The workspace as one thing to open and close: the store and what stands on it.
import path from "node:path";
import { databaseName, filesFolderName } from "./backup.ts";
import { Conversations } from "./conversations.ts";
import { Files } from "./files.ts";
import { Jobs } from "./jobs.ts";
import { Preferences } from "./preferences.ts";
import { Store } from "./store.ts";
import { Templates } from "./templates.ts";

export interface Workspace extends Disposable {
  store: Store;
  conversations: Conversations;
  files: Files;
  jobs: Jobs;
  templates: Templates;
  preferences: Preferences;
  /** What the last server left unfinished and this one closed or queued again. */
  recovered: { answers: number; jobs: number };
}

export function openWorkspace(dataFolder: string): Workspace {
  const store = new Store({ file: path.join(dataFolder, databaseName) });
  const conversations = new Conversations(store);
  const jobs = new Jobs(store);
  const recovered = {
    answers: conversations.endOrphans("The server stopped while this answer was being written."),
    jobs: jobs.requeueOrphans(),
  };
  return {
    store,
    conversations,
    files: new Files(store, path.join(dataFolder, filesFolderName)),
    jobs,
    templates: new Templates(store),
    preferences: new Preferences(store),
    recovered,
    [Symbol.dispose]: () => store[Symbol.dispose](),
  };
}
