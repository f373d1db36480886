// What Ollama's clients ask before they begin: which models there are, what they can do, what is loaded.
import { type Api, type ApiContext, assertModel, bodyOf } from "./api.ts";
import { parseJsonFields } from "./body.ts";

export function ollamaTags(context: ApiContext, api: Api): Response {
  return context.json({ models: [modelEntry(api)] });
}

export function ollamaRunning(context: ApiContext, api: Api): Response {
  const { memory, device } = api.engine.status();
  const bytes = memory.weightBytes + memory.kvBytes + memory.otherBytes;
  return context.json({
    models: [
      {
        ...modelEntry(api),
        expires_at: "9999-12-31T23:59:59Z",
        size: bytes,
        size_vram: device.startsWith("CPU") ? 0 : bytes,
      },
    ],
  });
}

export async function ollamaShow(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  assertModel(api, body.string("model") ?? body.string("name"));
  const { model, contextTokens } = api.engine.status();
  return context.json({
    modelfile: "",
    parameters: "",
    template: api.template.source,
    details: detailsOf(api),
    model_info: {
      "general.architecture": model.architecture,
      "general.parameter_count": model.parameters,
      [`${model.architecture}.context_length`]: contextTokens,
      [`${model.architecture}.block_count`]: model.layers,
    },
    capabilities: ["completion", "tools"],
  });
}

export function ollamaVersion(context: ApiContext, api: Api): Response {
  return context.json({ version: api.version });
}

function modelEntry(api: Api): object {
  const { model } = api.engine.status();
  return {
    name: model.id,
    model: model.id,
    modified_at: api.startedAt.toISOString(),
    size: model.fileBytes,
    digest: "",
    details: detailsOf(api),
  };
}

function detailsOf(api: Api): object {
  const { model } = api.engine.status();
  return {
    parent_model: "",
    format: "gguf",
    family: model.architecture,
    families: [model.architecture],
    parameter_size:
      model.parameters < 1e9 ? `${(model.parameters / 1e6).toFixed(1)}M` : `${(model.parameters / 1e9).toFixed(1)}B`,
    quantization_level: model.quantisation,
  };
}
