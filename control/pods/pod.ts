import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CompletionRequest,
  completion,
  completionChunks,
  goodPod,
  type PodBehaviour,
  usageOf,
} from "./completion.ts";
import { embedding } from "./embedding.ts";
import { createQueue, loadMetrics, type PodQueue } from "./queue.ts";

const maxBodyBytes = 4 << 20;
/** The event a server sends when the model fails after the status was sent. */
const failure = { error: { message: "the model failed", type: "server_error", code: 500 } };
/** Headers that the pod returns in its response, to show what reached it. */
const echoedHeaders = [
  "x-weir-variant",
  "x-weir-tier",
  "x-weir-tenant",
  "x-shadow-mode",
  "x-traffic-tag",
  "x-llm-d-inference-objective",
  "x-llm-d-inference-fairness-id",
  "x-gateway-inference-objective",
  "accept-encoding",
];

/** A running fake inference pod. */
export interface Pod {
  port: number;
  /** Requests it has served, by path. */
  served: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/**
 * Starts a fake inference pod: OpenAI's chat completions, streamed or not, with
 * usage, and embeddings. It names itself in the header x-pod; PUT /behaviour changes how it behaves.
 */
export async function startPod(
  name: string,
  host: string,
  port: number,
  behaviour: Partial<PodBehaviour> = {},
): Promise<Pod> {
  const state = { ...goodPod, ...behaviour };
  const served = new Map<string, number>();
  const queue = createQueue();
  let working = 0;
  const server = createServer((req, res) => {
    const path = (req.url ?? "/").split("?", 1)[0] ?? "/";
    served.set(path, (served.get(path) ?? 0) + 1);
    res.setHeader("x-pod", name);
    for (const header of echoedHeaders) {
      const value = req.headers[header];
      if (value !== undefined) res.setHeader(`x-seen-${header}`, value);
    }
    if (path === "/metrics") {
      res.end(metricsText(working, queue.waiting(), state));
      return;
    }
    server.keepAliveTimeout = state.idleMs;
    working++;
    res.on("close", () => working--);
    handle(path, req, res, state, queue).catch(() => res.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    served,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The load gauges of a server, under its names. */
function metricsText(working: number, queued: number, behaviour: PodBehaviour): string {
  const { kvCache, server, waiting } = behaviour;
  const running = Math.max(working - queued, 0);
  const lines =
    server === "llama.cpp"
      ? [
          `llamacpp:requests_processing ${running}`,
          `llamacpp:requests_deferred ${waiting + queued}`,
        ]
      : [
          `vllm:num_requests_running{model_name="tiny"} ${running}`,
          `vllm:num_requests_waiting{model_name="tiny"} ${waiting + queued}`,
          `vllm:kv_cache_usage_perc{model_name="tiny"} ${kvCache}`,
        ];
  return `${lines.join("\n")}\n`;
}

async function handle(
  path: string,
  req: IncomingMessage,
  res: ServerResponse,
  state: PodBehaviour,
  queue: PodQueue,
): Promise<void> {
  if (path === "/health") return json(res, 200, { status: "ok" });
  if (path === "/v1/models")
    return json(res, 200, { object: "list", data: [{ id: "tiny", object: "model" }] });
  const body = await readBody(req);
  if (body === undefined) {
    // The rest of the body is not read, so nothing else can come over this connection.
    res.setHeader("connection", "close");
    return json(res, 413, { error: { message: "the request is too large" } });
  }
  if (path === "/behaviour" && req.method === "PUT") {
    Object.assign(state, JSON.parse(body));
    return json(res, 200, state);
  }
  if (path !== "/v1/chat/completions" && path !== "/v1/embeddings")
    return json(res, 404, { error: { message: `no such path: ${path}` } });
  const request = parse(body);
  if (request === undefined)
    return json(res, 400, { error: { message: "the body is not valid JSON" } });
  if (path === "/v1/embeddings") return json(res, 200, embedding(request));
  if (state.refuse > 0) return json(res, state.refuse, { error: { message: "not now" } });
  if (Math.random() < state.errorRate)
    return json(res, 500, { error: { message: "the model failed" } });
  const beyond = beyondContext(request, state);
  if (beyond !== undefined) return json(res, 400, { error: { message: beyond, code: 400 } });
  // Whoever asked has to give up.
  if (Math.random() < state.hangRate) return;
  const id = `chatcmpl-${randomUUID()}`;
  const done = await queue.enter(() => state.slots);
  // Like vLLM: responses that are not streams carry the load in headers when the request asks for it.
  const format = String(req.headers["endpoint-load-metrics-format"] ?? "").toUpperCase();
  const tells = state.server === "vllm" && request.stream !== true;
  if (tells && (format === "TEXT" || format === "JSON"))
    res.setHeader(
      "endpoint-load-metrics",
      loadMetrics(format, state.waiting + queue.waiting(), state.kvCache),
    );
  try {
    if (res.destroyed) return;
    await sleep(state.firstTokenMs);
    if (request.stream === true) await stream(id, request, res, state);
    else if (Math.random() < state.failRate) json(res, 200, failure);
    else json(res, 200, completion(id, request, state));
  } finally {
    done();
  }
}

async function stream(
  id: string,
  request: CompletionRequest,
  res: ServerResponse,
  state: PodBehaviour,
): Promise<void> {
  res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const cut = Math.random() < state.cutRate;
  const fails = Math.random() < state.failRate;
  let events = 0;
  for (const chunk of completionChunks(id, request, state)) {
    if (res.destroyed) return;
    if (events++ > 0) await sleep(state.tokenGapMs);
    res.write(`data: ${JSON.stringify(chunk)}\n\n`);
    if (cut && events > 2) {
      res.destroy();
      return;
    }
    if (fails) {
      // As vLLM, which ends such a stream as any other.
      res.write(`data: ${JSON.stringify(failure)}\n\n`);
      break;
    }
  }
  // Like llama.cpp: the connection closes after the stream without a header that announces it.
  const { socket } = res;
  if (state.server === "llama.cpp") res.once("finish", () => socket?.end());
  res.end("data: [DONE]\n\n");
}

/** The error for a request that exceeds the model's context. */
function beyondContext(request: CompletionRequest, state: PodBehaviour): string | undefined {
  const { contextTokens } = state;
  const { prompt_tokens: prompt } = usageOf(request, 0);
  const wanted = prompt + (request.max_completion_tokens ?? request.max_tokens ?? 0);
  return contextTokens > 0 && wanted > contextTokens
    ? `this model's context is ${contextTokens} tokens, the request wants ${wanted}`
    : undefined;
}

function parse(body: string): CompletionRequest | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

async function readBody(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function json(res: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  res.end(text);
}
