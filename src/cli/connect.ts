// Finds the server for chat and run: the one that listens at --host and --port, or one of their own on a free port, which ends with
// the command.
import { AppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { StatusBody } from "../server/api-types.ts";
import { isLoopback } from "../server/keys.ts";
import { getJson, type ServerAddress } from "./api-client.ts";
import type { CommandContext } from "./command.ts";

export interface Connection extends ServerAddress, AsyncDisposable {
  modelId: string;
  isDemonstration: boolean;
}

/** `hasFiles`: the messages will hold files, which a server of our own then has to read. */
export async function connect(context: CommandContext, { hasFiles = false } = {}): Promise<Connection> {
  const { host, port, apiKey } = context.settings;
  const isHere = isLoopback(host) || host === "0.0.0.0" || host === "::";
  const address = { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, key: apiKey };
  const running = port === 0 ? undefined : await statusOf(address, { signal: context.signal, isHere });
  if (running) return connection(address, running, async () => undefined);
  context.terminal.progress("starting an engine ...");
  const { openService } = await import("./service.ts");
  await using opened = new AsyncDisposableStack();
  const service = opened.use(
    await openService({
      ...context,
      // Its own client is the only one: no key to ask for, and no line for every request between the answers.
      settings: { ...context.settings, host: "127.0.0.1", port: 0, apiKeyFile: "", bodyLimit: ownBodyLimit },
      hasFiles,
      log: context.settings.logLevel === "debug" ? context.log : onlyTrouble(context.log),
    }),
  );
  context.terminal.progress("");
  const own = { url: service.url, key: "" };
  const status = await getJson<StatusBody>(own, "/status");
  const held = opened.move();
  return connection(own, status, () => held.disposeAsync());
}

/** A file at the readers' own limit, as base64. */
const ownBodyLimit = 512 * 1024 * 1024;

/** The status of a Quern at this address; undefined when nothing listens there on this machine. Throws when something else does. */
async function statusOf(
  address: ServerAddress,
  { signal, isHere }: { signal: AbortSignal; isHere: boolean },
): Promise<StatusBody | undefined> {
  let body: Partial<StatusBody> | undefined;
  try {
    body = await getJson<Partial<StatusBody>>(address, "/status", AbortSignal.any([signal, AbortSignal.timeout(5000)]));
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof AppError) {
      if (isHere && error.details?.reason === "ECONNREFUSED") return undefined;
      throw error;
    }
    if (!(error instanceof SyntaxError)) {
      throw new AppError("upstream", `Something listens at ${address.url} and does not answer.`, {
        hint: "Choose another --port, or see what it is.",
        cause: error,
      });
    }
  }
  if (body?.engine?.model === undefined) {
    throw new AppError("upstream", `Something other than Quern listens at ${address.url}.`, {
      hint: "Choose another --port.",
    });
  }
  return body as StatusBody;
}

/** Of a server of our own: a request that failed is told by the command that asked. */
function onlyTrouble(log: Log): Log {
  const quiet = (): void => undefined;
  const warn: Log["warn"] = (event, fields) => {
    if (event !== "request failed") log.warn(event, fields);
  };
  return { ...log, debug: quiet, info: quiet, warn };
}

function connection(address: ServerAddress, { engine: { model } }: StatusBody, close: () => Promise<void>): Connection {
  return { ...address, modelId: model.id, isDemonstration: model.isDemonstration, [Symbol.asyncDispose]: close };
}
