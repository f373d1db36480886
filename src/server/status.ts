// What the server tells about itself: /health for probes, /status for people and the page, /v1/models for clients, /metrics for
// Prometheus. All of them read the same engine status; none waits for a step.

import { AppError } from "../base/errors.ts";
import { type Api, type ApiContext, uploadBytesOf } from "./api.ts";
import type { HealthBody, ModelCard, ModelsBody, StatusBody } from "./api-types.ts";
import { given } from "./fields.ts";

export const demonstration = {
  message: "This is the bundled demonstration model: it shows how Quern works, and is good for nothing else.",
  hint: "Fetch the real one with `npx quern models pull qwen3-4b-instruct-2507`, then start Quern again.",
};

export function health(context: ApiContext, api: Api): Response {
  const { state, engine, restarts, lastFailure, loadProgress } = api.engine.status();
  const body: HealthBody = {
    status: state === "ready" ? "ok" : state,
    engine,
    restarts,
    ...(lastFailure === undefined ? {} : { last_failure: lastFailure }),
    ...(loadProgress === undefined ? {} : { load_progress: loadProgress }),
  };
  return context.json(body, state === "ready" ? 200 : 503);
}

export function status(context: ApiContext, api: Api): Response {
  const { model, ...engine } = api.engine.status();
  // The page asks every second; the template is long and never changes.
  const { chatTemplate: _chatTemplate, ...modelFacts } = model;
  const { sampling, maxTokens } = api.defaults;
  const body: StatusBody = {
    version: api.version,
    uptime_seconds: Math.round((Date.now() - api.startedAt.getTime()) / 1000),
    engine: { ...engine, model: modelFacts },
    ...(model.isDemonstration ? { demonstration: { ...demonstration, ...given("reason", api.note) } } : {}),
    requests: api.ledger.counts,
    defaults: {
      temperature: sampling.temperature,
      top_k: sampling.topK,
      top_p: sampling.topP,
      min_p: sampling.minP,
      repetition_penalty: sampling.repeatPenalty,
      presence_penalty: sampling.presencePenalty,
      frequency_penalty: sampling.frequencyPenalty,
      max_tokens: maxTokens ?? null,
    },
    limits: { body_bytes: api.limits.bodyBytes, upload_bytes: uploadBytesOf(api), per_key: api.limits.perKey },
  };
  return context.json(body);
}

export function models(context: ApiContext, api: Api): Response {
  const body: ModelsBody = { object: "list", data: [modelCard(api)] };
  return context.json(body);
}

export function modelByName(context: ApiContext, api: Api): Response {
  const card = modelCard(api);
  const wanted = context.req.param("id");
  if (wanted === card.id) return context.json(card);
  throw new AppError("not_found", `There is no model "${wanted?.slice(0, 100)}"; this server runs ${card.id}.`, {
    param: "model",
  });
}

function modelCard(api: Api): ModelCard {
  const { model, contextTokens } = api.engine.status();
  return {
    id: model.id,
    object: "model",
    created: Math.floor(api.startedAt.getTime() / 1000),
    owned_by: "quern",
    max_model_len: contextTokens,
    meta: {
      file: model.file.slice(Math.max(model.file.lastIndexOf("/"), model.file.lastIndexOf("\\")) + 1),
      architecture: model.architecture,
      quantisation: model.quantisation,
      parameters: model.parameters,
      trained_context_tokens: model.trainedContextTokens,
      is_demonstration: model.isDemonstration,
      ...(model.isDemonstration ? { notice: `${demonstration.message} ${demonstration.hint}` } : {}),
    },
  };
}
