// The child of kill.test.ts: writes messages and says so on standard output after each write has returned.
import { writeSync } from "node:fs";
import { openWorkspace } from "../../src/workspace/workspace.ts";

const workspace = openWorkspace(process.argv[2] ?? "");
const { id: conversationId } = workspace.conversations.create({ title: "kill" });
for (let index = 0; index < 200; index++) {
  const message = workspace.conversations.add({ conversationId, role: "user", content: `message ${index}` });
  writeSync(1, `${message.id}\n`);
}
writeSync(1, "end\n");
