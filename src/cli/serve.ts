// `quern serve`: runs until it is stopped. The first Ctrl-C lets running answers finish; a second one ends at once.
import { once } from "node:events";
import { pullHint, qwen3Instruct } from "../models/catalogue.ts";
import { type Command, parseWords, type Terminal } from "./command.ts";
import { openService, type Service } from "./service.ts";

export const serve: Command = {
  about: "Start the engine, the API and the page.",
  usage: "",
  async run(context) {
    const { terminal, signal } = context;
    parseWords(context.args, {}, { mostWords: 0 });
    const start = performance.now();
    const service = await openService({
      ...context,
      hasWorkspace: true,
      onProgress: (loaded) => terminal.progress(`loading the model: ${Math.round(loaded * 100)} %`),
    });
    announce(terminal, service, performance.now() - start);
    if (!signal.aborted) await once(signal, "abort");
    terminal.note("Stopping: running answers may finish; press Ctrl-C again to end at once.");
    await service[Symbol.asyncDispose]();
    return 0;
  },
};

function announce(terminal: Terminal, { url, engine, model }: Service, ms: number): void {
  const status = engine.status();
  terminal.note(`${terminal.bold("Quern")} is ready after ${(ms / 1000).toFixed(1)} s:  ${terminal.bold(url)}`);
  terminal.note(
    `  model    ${model.id} (${status.model.quantisation}), ${status.contextTokens} tokens of context, ${status.parallel} requests together`,
  );
  terminal.note(`  engine   ${status.engine} on ${status.device}${status.reason ? `. ${status.reason}` : ""}`);
  terminal.note(terminal.dim(`  API      ${url}/v1 (OpenAI), ${url}/v1/qwen3/instruct`));
  if (!model.isDemonstration) return;
  terminal.note("");
  terminal.note(
    `  ${terminal.bold("This is the demonstration model")}: it knows the phrases of its own training and nothing of the world.`,
  );
  terminal.note(`  ${model.note ?? `For real work there is ${qwen3Instruct.id}.`} ${pullHint(qwen3Instruct)}`);
  terminal.note("  Then start again.");
}
