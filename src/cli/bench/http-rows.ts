// What HTTP costs on top of the engine. Two kinds of rows: shares of throughput, measured with the real engine (bare client and server
// taking turns), and costs per request and per token in microseconds, measured with a scripted engine that costs nothing itself. The
// client runs on a thread of its own and only counts bytes, so that its work does not hide the server's.
import type { Engine } from "../../engine/contract.ts";
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
  const [bare = [], served = []] = await alternately(5, [() => throughput(engine, prompts, 4), throughHttp]);
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

/** Costs per request and per token over an engine that costs next to nothing. `url` serves that engine. */
export async function overheadRows({ url, client }: Served, engine: Engine, prompts: Prompts): Promise<Row[]> {
  const tokens = 2000;
  const question = "word ".repeat(20);
  const sides = (count: number): (() => Promise<number>)[] => {
    const timed = (work: () => Promise<unknown>) => async (): Promise<number> => {
      const start = performance.now();
      await work();
      return (performance.now() - start) * 1000;
    };
    return [
      timed(() => runOnce(engine, benchRequest(prompts.fresh(20), count))),
      timed(() => client.exchange(`${url}/v1/chat/completions`, chatBody(question, count), "application/json")),
      timed(() => client.exchange(`${url}/v1/qwen3/instruct?max_tokens=${count}`, question, "text/plain")),
    ];
  };
  await alternately(20, sides(1));
  await alternately(3, sides(tokens));
  const [bareOne = [], chatOne = [], instructOne = []] = await alternately(200, sides(1));
  const [bareLong = [], chatLong = [], instructLong = []] = await alternately(41, sides(tokens));
  const perRequest = (side: number[]): number => median(side) - median(bareOne);
  const perToken = (long: number[], one: number[]): number =>
    (median(long) - median(one) - (median(bareLong) - median(bareOne))) / (tokens - 1);
  const [chatToken, instructToken] = [perToken(chatLong, chatOne), perToken(instructLong, instructOne)];
  return [
    {
      name: "chat_request_us",
      value: perRequest(chatOne),
      unit: "us",
      note: "chat completions over the bare engine, per request",
    },
    { name: "instruct_request_us", value: perRequest(instructOne), unit: "us", note: "instruct, the same" },
    { name: "chat_token_us", value: chatToken, unit: "us", note: "chat completions over the bare engine, per token" },
    { name: "instruct_token_us", value: instructToken, unit: "us", note: "instruct, the same" },
    {
      name: "instruct_over_chat",
      value: instructToken / chatToken,
      unit: "x",
      bar: "<= 0.5",
      holds: instructToken / chatToken <= 0.5,
      note: "overhead per token",
    },
  ];
}

/** Ten items in one call of instruct/batch, against ten chat completions one after the other. */
export async function batchRow({ url, client }: Served, prompts: readonly string[]): Promise<Row> {
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
    bar: ">= 3.4",
    holds: gain >= 3.4,
    note: `10 items of ${maxTokens} tokens, requests a second of instruct/batch over sequential chat completions`,
  });
}
