// Finds the server for chat and run: the one that listens at --host and --port, or one of their own on a free port, which ends with
// the command.
import { AppError } from "../base/errors.ts";
import type { StatusBody } from "../server/api-types.ts";
import { getJson, type ServerAddress } from "./api-client.ts";
import type { CommandContext } from "./command.ts";

export interface Connection extends ServerAddress, AsyncDisposable {
  modelId: string;
  isDemonstration: boolean;
}

export async function connect(context: CommandContext): Promise<Connection> {
  const { host, port, apiKey } = context.settings;
  const address = { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, key: apiKey };
  const running = port === 0 ? undefined : await statusOf(address, context.signal);
  if (running) return connection(address, running, async () => undefined);
  context.terminal.progress("starting an engine ...");
  const { openService } = await import("./service.ts");
  await using opened = new AsyncDisposableStack();
  const service = opened.use(
    await openService({ ...context, settings: { ...context.settings, host: "127.0.0.1", port: 0 } }),
  );
  context.terminal.progress("");
  const own = { url: service.url, key: "" };
  const status = await getJson<StatusBody>(own, "/status");
  const held = opened.move();
  return connection(own, status, () => held.disposeAsync());
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
  if (body.engine?.model === undefined) {
    throw new AppError("upstream", `Something other than Quern listens at ${address.url}.`, {
      hint: "Choose another --port.",
    });
  }
  return body as StatusBody;
}

function connection(address: ServerAddress, { engine: { model } }: StatusBody, close: () => Promise<void>): Connection {
  return { ...address, modelId: model.id, isDemonstration: model.isDemonstration, [Symbol.asyncDispose]: close };
}
