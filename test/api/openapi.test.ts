// The description at /openapi.json names every address that the app serves, and nothing else.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { OfficeDoor } from "../../src/server/office/office-door.ts";
import { openWorkspaceDoor } from "../../src/server/workspace/workspace-door.ts";
import { openTestApp } from "./test-app.ts";

interface Description {
  openapi: string;
  paths: Record<string, Record<string, { operationId: string; responses: object }>>;
  components: { schemas: Record<string, unknown> };
}

const dataFolder = mkdtempSync(path.join(os.tmpdir(), "quern-openapi-"));

test("every address and method of the app is described, and no other", async () => {
  const engine = openScriptedEngine();
  await using workspace = openWorkspaceDoor({ engine, log: silentLog, dataFolder, hub: "", gpu: "none" });
  await using office = new OfficeDoor({ files: workspace.workspace.files, dataFolder });
  await using served = openTestApp({ engine, workspace, office, checkHost: false });
  const response = await served.app.request("/openapi.json");
  const description = (await response.json()) as Description;
  assert.equal(description.openapi, "3.1.0");
  const described = Object.entries(description.paths).flatMap(([address, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${address}`),
  );
  const routes = served.app.routes
    .filter(({ method, path: address }) => method !== "ALL" && address !== "*")
    .map(({ method, path: address }) => `${method} ${address.replaceAll(/:(\w+)/g, "{$1}")}`);
  assert.deepEqual(described.toSorted(), [...new Set(routes)].toSorted());
  const ids = Object.values(description.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  assert.equal(new Set(ids).size, ids.length, "operation ids are unique");
});

test("every schema that the description points at is in it", async () => {
  await using served = openTestApp();
  const text = await (await served.app.request("/openapi.json")).text();
  const { components } = JSON.parse(text) as Description;
  for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
    assert.ok(components.schemas[name], name);
  assert.doesNotMatch(text, /\/v1\/analysis"|"\/workspace/, "what this server does not have is not described");
});
