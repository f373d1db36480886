// What HTTP costs on top of the engine. Two kinds of rows: shares of throughput, measured with the real engine (bare client and server
// taking turns), and costs per request and per token in microseconds, measured with a scripted engine that costs nothing itself. The
// client runs on a thread of its own and only counts bytes, so that its work does not hide the server's.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Engine, GenerateEvent } from "../../engine/contract.ts";
import { benchRequest, type Prompts, runOnce, throughput } from "./engine-rows.ts";
import type { HttpClient } from "./http-client.ts";
import { alternately, median, type Row, ratios, toRow } from "./measure.ts";

/** A server and the client that asks it. */
export interface Served {
  url: string;
  client: HttpClient;
}

function chatBody(content: string, maxTokens: number): string {
  return JSON.stringify({
    messages: [{ role: "user", content }],
    stream: true,
    max_tokens: maxTokens,
    ignore_eos: true,
    temperature: 0,
  });
}

function completionBody(ids: readonly number[], maxTokens: number): string {
  return JSON.stringify({ prompt: ids, stream: true, max_tokens: maxTokens, ignore_eos: true, temperature: 0 });
}

/** Decode throughput at 4 sequences through HTTP, against the engine's client without HTTP. */
export async function serverShare({ url, client }: Served, engine: Engine, prompts: Prompts): Promise<Row> {
  const throughHttp = async (): Promise<number> => {
    const start = performance.now();
    await Promise.all(
      Array.from({ length: 4 }, () =>
        client.exchange(`${url}/v1/completions`, completionBody(prompts.fresh(64), 128), "application/json"),
      ),
    );
    return ((4 * 128) / (performance.now() - start)) * 1000;
  };
  await throughHttp();
  const [bare = [], served = []] = await alternately(9, [() => throughput(engine, prompts, 4), throughHttp]);
  const share = median(ratios(served, bare).map((ratio) => 1 - ratio)) * 100;
  return {
    name: "server_overhead_pct",
    value: share,
    unit: "%",
    bar: "<= 5",
    holds: share <= 5,
    note: "decode throughput lost to HTTP at 4 sequences",
  };
}

/** Processor time that this thread has used, in microseconds: the server's, since the client has a thread of its own. */
function threadMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/**
 * Costs per request and per token over an engine that costs next to nothing, in processor time of the server's thread: another
 * program on the machine, or a client that lags behind, does not count. The clock advances in ticks, so sums over all rounds are
 * compared, not single runs. `url` serves `engine`; the bare socket shows what the system alone asks for each token written.
 */
export async function overheadRows({ url, client }: Served, engine: Engine, prompts: Prompts): Promise<Row[]> {
  const tokens = 2000;
  const question = "word ".repeat(20);
  await using bareSocket = await openBareSocket((count) => engine.generate(benchRequest(prompts.fresh(20), count)));
  const sides = (count: number): (() => Promise<number>)[] => {
    const timed = (work: () => Promise<unknown>) => async (): Promise<number> => {
      const start = threadMicroseconds();
      await work();
      return threadMicroseconds() - start;
    };
    return [
      timed(() => runOnce(engine, benchRequest(prompts.fresh(20), count))),
      timed(() => client.exchange(`${bareSocket.url}/?${count}`, question, "text/plain")),
      timed(() => client.exchange(`${url}/v1/chat/completions`, chatBody(question, count), "application/json")),
      timed(() => client.exchange(`${url}/v1/qwen3/instruct?max_tokens=${count}`, question, "text/plain")),
    ];
  };
  const means = async (rounds: number, count: number): Promise<number[]> =>
    (await alternately(rounds, sides(count))).map((values) => values.reduce((sum, value) => sum + value, 0) / rounds);
  await alternately(20, sides(1));
  await alternately(3, sides(tokens));
  const [bareOne = 0, socketOne = 0, chatOne = 0, instructOne = 0] = await means(200, 1);
  const [bareLong = 0, socketLong = 0, chatLong = 0, instructLong = 0] = await means(81, tokens);
  const perToken = (long: number, one: number): number => (long - one - (bareLong - bareOne)) / (tokens - 1);
  const socketToken = perToken(socketLong, socketOne);
  const chatToken = perToken(chatLong, chatOne);
  const instructToken = perToken(instructLong, instructOne);
  // Of HTTP's own cost: the socket's write, most of it the system's, is the same whatever is written, and no door can do without.
  const share = (instructToken - socketToken) / (chatToken - socketToken);
  const whole = instructToken / chatToken;
  const microseconds = (name: string, value: number, note: string): Row => ({ name, value, unit: "us", note });
  return [
    microseconds("socket_request_us", socketOne - bareOne, "Node's own exchange without a door of ours, per request"),
    microseconds("chat_request_us", chatOne - bareOne, "chat completions, the same over the bare engine"),
    microseconds("instruct_request_us", instructOne - bareOne, "instruct, the same"),
    microseconds("socket_token_us", socketToken, "each token written to a bare socket, over the bare engine"),
    microseconds("chat_token_us", chatToken, "chat completions over the bare engine, per token"),
    microseconds("instruct_token_us", instructToken, "instruct, the same"),
    {
      name: "instruct_over_chat",
      value: whole,
      unit: "x",
      bar: "<= 0.5",
      holds: whole <= 0.5,
      note: "overhead per token; most of either is the socket's write, and chat's own part was halved too",
    },
    {
      name: "instruct_over_chat_beyond_socket",
      value: share,
      unit: "x",
      note: "the same beyond the socket's write, which no door can do without",
    },
  ];
}

/** A server that does nothing of HTTP but what a client needs to see an answer: each token goes into the socket as it comes. */
async function openBareSocket(
  generate: (tokens: number) => AsyncIterable<GenerateEvent>,
): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(async (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    const { socket } = response;
    for await (const event of generate(Number(request.url?.slice(2)))) {
      if (event.type === "tokens") socket?.write(wordFrame);
    }
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A chunk as HTTP frames it, always the same. */
const wordFrame = "1\r\nw\r\n";

/**
 * Ten items in one call of instruct/batch, against ten chat completions one after the other. Where the processor gains little from running
 * sequences together (`engineGain`), a batch can gain no more: then it must not lose what there is.
 */
export async function batchRow({ url, client }: Served, prompts: readonly string[], engineGain: number): Promise<Row> {
  const maxTokens = 64;
  const sequential = async (): Promise<number> => {
    const start = performance.now();
    for (const prompt of prompts) {
      const body = JSON.stringify({ ...JSON.parse(chatBody(prompt, maxTokens)), stream: false });
      await client.exchange(`${url}/v1/chat/completions`, body, "application/json");
    }
    return performance.now() - start;
  };
  const together = async (): Promise<number> => {
    const lines = prompts.map((prompt, index) =>
      JSON.stringify({
        id: String(index),
        instruction: prompt,
        max_tokens: maxTokens,
        min_tokens: maxTokens,
        temperature: 0,
      }),
    );
    const start = performance.now();
    const { text } = await client.exchange(`${url}/v1/qwen3/instruct/batch`, lines.join("\n"), "application/x-ndjson");
    const failed = text.split("\n").find((line) => line.includes('"error"'));
    if (failed) throw new Error(`an item of the batch failed: ${failed}`);
    return performance.now() - start;
  };
  await together();
  const [one = [], batch = []] = await alternately(5, [sequential, together]);
  const gains = ratios(one, batch);
  const gain = median(gains);
  return toRow("batch10_gain", gains, {
    unit: "x",
    bar: ">= 3.4, or 0.9 of the engine's own gain",
    holds: gain >= Math.min(3.4, 0.9 * engineGain),
    note: `10 items of ${maxTokens} tokens, requests a second of instruct/batch over sequential chat completions; several sequences together are ${engineGain.toFixed(2)} times as fast as one`,
  });
}
