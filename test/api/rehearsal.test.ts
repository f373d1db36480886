// What runs before anybody's request: it goes the whole way, and nobody sees more of it than the engine's own count.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import type { Engine, GenerateRequest } from "../../src/engine/contract.ts";
import { openScriptedEngine } from "../../src/engine/scripted/scripted-engine.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import type { ServedModel } from "../../src/server/engine-switch.ts";
import { rehearse } from "../../src/server/rehearsal.ts";
import { toModelDefaults } from "../../src/server/sampling-fields.ts";

function served(engine: Engine): ServedModel {
  return { engine, template: openChatTemplate(undefined, { specialTokens: [] }), defaults: toModelDefaults() };
}

/** The engine, and what it was asked. */
function listened(engine: Engine): { engine: Engine; asked: GenerateRequest[] } {
  const asked: GenerateRequest[] = [];
  const generate: Engine["generate"] = (request, options) => {
    asked.push(request);
    return engine.generate(request, options);
  };
  return { asked, engine: Object.assign(Object.create(engine) as Engine, { generate, status: () => engine.status() }) };
}

test("a rehearsal asks for short answers to ids and messages, behind whatever else comes", async () => {
  await using scripted = openScriptedEngine();
  const { engine, asked } = listened(scripted);
  await rehearse(served(engine), { signal: new AbortController().signal, rounds: 2 });
  assert.equal(asked.length, 5);
  assert.deepEqual(new Set(asked.map(({ priority }) => priority)), new Set(["background"]));
  assert.deepEqual(new Set(asked.map(({ maxTokens }) => maxTokens)), new Set([2]));
  assert.deepEqual(new Set(asked.map(({ prompt }) => prompt.kind)), new Set(["tokens", "text"]));
  assert.equal(scripted.status().runningRequests, 0);
});

test("a rehearsal that is ended asks nothing more", async () => {
  await using scripted = openScriptedEngine();
  const { engine, asked } = listened(scripted);
  await rehearse(served(engine), { signal: AbortSignal.abort() });
  assert.equal(asked.length, 0);
});

test("a rehearsal whose engine refuses is broken off", async () => {
  await using scripted = openScriptedEngine();
  const { engine, asked } = listened(scripted);
  await scripted[Symbol.asyncDispose]();
  await assert.rejects(rehearse(served(engine), { signal: new AbortController().signal }), AppError);
  assert.equal(asked.length, 1);
});
