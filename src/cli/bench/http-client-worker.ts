// The bench's client, on a thread of its own: it sends what it is told and counts bytes, so that its work does not count as the server's.
import http from "node:http";
import { parentPort } from "node:worker_threads";
import type { Exchange, Exchanged } from "./http-client.ts";

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

parentPort?.on("message", ({ id, url, body, type }: Exchange) => {
  const reply = (exchanged: Omit<Exchanged, "id">): void => parentPort?.postMessage({ id, ...exchanged });
  const request = http.request(url, { method: "POST", agent, headers: { "content-type": type } }, (response) => {
    let bytes = 0;
    const kept: Buffer[] = [];
    const status = response.statusCode ?? 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (status !== 200 || type === "application/x-ndjson") kept.push(chunk);
    });
    response.on("end", () => reply({ status, bytes, text: Buffer.concat(kept).toString("utf8") }));
    response.on("error", (error) => reply({ status: 0, bytes, text: error.message }));
  });
  request.on("error", (error) => reply({ status: 0, bytes: 0, text: error.message }));
  request.end(body);
});
