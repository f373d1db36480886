// Finds the server for chat and run: the one that listens at --host and --port, or one of their own on a free port, which ends with
// the command.
import { AppError } from "../base/errors.ts";
import { getJson, type ServerAddress } from "./api-client.ts";
import type { CommandContext } from "./command.ts";

export interface Connection extends ServerAddress, AsyncDisposable {
  modelId: string;
  isDemonstration: boolean;
}

interface StatusBody {
  model: { id: string; isDemonstration: boolean };
}

export async function connect(context: CommandContext): Promise<Connection> {
  const { host, port, apiKey } = context.settings;
  const address = { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, key: apiKey };
  const running = port === 0 ? undefined : await statusOf(address, context.signal);
  if (running) return connection(address, running, async () => undefined);
  context.terminal.progress("starting an engine ...");
  const { openService } = await import("./service.ts");
  const service = await openService({ ...context, settings: { ...context.settings, host: "127.0.0.1", port: 0 } });
  context.terminal.progress("");
  const own = { url: service.url, key: "" };
  return connection(own, await getJson<StatusBody>(own, "/status"), () => service[Symbol.asyncDispose]());
}

/** The status of a Quern at this address; undefined when nothing listens there. Throws when something else does. */
async function statusOf(address: ServerAddress, signal: AbortSignal): Promise<StatusBody | undefined> {
  let body: Partial<StatusBody>;
  try {
    body = await getJson<Partial<StatusBody>>(address, "/status", AbortSignal.any([signal, AbortSignal.timeout(2000)]));
  } catch (error) {
    if (error instanceof AppError) throw error;
    return undefined;
  }
  if (body.model === undefined) {
    throw new AppError("upstream", `Something other than Quern listens at ${address.url}.`, {
      hint: "Choose another --port.",
    });
  }
  return body as StatusBody;
}

function connection(address: ServerAddress, { model }: StatusBody, close: () => Promise<void>): Connection {
  return { ...address, modelId: model.id, isDemonstration: model.isDemonstration, [Symbol.asyncDispose]: close };
}
