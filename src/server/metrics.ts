// Prometheus metrics. Gauges are read from the engine when scraped; what happens per request is counted as it ends.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Engine } from "../engine/contract.ts";
import type { LedgerObserver } from "./request-ledger.ts";

const secondsBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export interface Metrics extends LedgerObserver {
  readonly contentType: string;
  /** An error was answered with a status. */
  refused(code: string): void;
  text(): Promise<string>;
}

export function openMetrics(engine: Engine): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const ended = new Counter({
    name: "quern_requests_total",
    help: "Requests that have ended, by door and by how: stop, length, tool_calls, aborted, or an error's code.",
    labelNames: ["door", "reason"],
    registers,
  });
  const refused = new Counter({
    name: "quern_error_answers_total",
    help: "Requests answered with an error's status, by code; failures in mid-stream are in quern_requests_total.",
    labelNames: ["code"],
    registers,
  });
  const duration = new Histogram({
    name: "quern_request_seconds",
    help: "From a request's arrival to its end.",
    labelNames: ["door"],
    buckets: secondsBuckets,
    registers,
  });
  const first = new Histogram({
    name: "quern_first_token_seconds",
    help: "From a request's arrival to its first token.",
    labelNames: ["door"],
    buckets: secondsBuckets,
    registers,
  });
  readWhenScraped(registry, engine);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    refused: (code) => refused.inc({ code }),
    ended({ door, reason, durationMs, firstMs }) {
      ended.inc({ door, reason });
      duration.observe({ door }, durationMs / 1000);
      if (firstMs !== undefined) first.observe({ door }, firstMs / 1000);
    },
  };
}

function readWhenScraped(registry: Registry, engine: Engine): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    // The engine keeps the sum; here it only takes Prometheus' form.
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  gauge("quern_engine_ready", "1 while the engine answers.", () => (engine.status().state === "ready" ? 1 : 0));
  gauge("quern_running_requests", "Requests being generated.", () => engine.status().runningRequests);
  gauge("quern_queued_requests", "Requests that wait.", () => engine.status().queuedRequests);
  gauge("quern_kv_tokens", "Tokens of KV memory there are.", () => engine.status().kv.totalTokens);
  gauge("quern_kv_used_tokens", "Tokens of KV memory held by running requests.", () => engine.status().kv.usedTokens);
  gauge("quern_kv_cached_tokens", "Tokens of KV memory kept as prefixes.", () => engine.status().kv.cachedTokens);
  gauge(
    "quern_prompt_tokens_per_second",
    "Over the last minute of work.",
    () => engine.status().speed.promptTokensPerSecond,
  );
  gauge(
    "quern_decode_tokens_per_second",
    "Over the last minute of work.",
    () => engine.status().speed.decodeTokensPerSecond,
  );
  counter("quern_prompt_tokens_total", "Prompt tokens taken in.", () => engine.status().totals.promptTokens);
  counter("quern_cached_tokens_total", "Prompt tokens whose KV was reused.", () => engine.status().totals.cachedTokens);
  counter("quern_completion_tokens_total", "Tokens generated.", () => engine.status().totals.completionTokens);
  counter("quern_engine_restarts_total", "Times the engine was started again.", () => engine.status().restarts);
}
