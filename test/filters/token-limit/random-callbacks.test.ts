import { expect, it } from "vitest";
import type { Headers } from "../../host/header-map.ts";
import { createSharedState } from "../../host/proxy.ts";
import { type Exchange, startWorker } from "../../host/worker.ts";
import { generator } from "../../random.ts";
import { compiled, requestHeaders } from "../module.ts";
import { events, json, tokenConfig } from "./token-streams.ts";

/** What bodies are made of: bits that mean something to the filter, and noise. */
const bits = [
  "data: ",
  "data:",
  "\n\n",
  "\r\n",
  "\r",
  ": ",
  "[DONE]",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "\\u00",
  '"choices"',
  '"usage":',
  '"usage":null',
  '"delta":{"content":"',
  '"finish_reason":"stop"',
  '"prompt_tokens":',
  '"completion_tokens":12',
  "1e999",
  "-1",
  "0".repeat(40),
  "true",
  "fal",
  "se",
  "null",
  '"max_tokens":',
  '"max_completion_tokens":99999999',
  '"stream":true',
  '"stream_options":{',
  '"include_usage":false',
  '"n":1e9',
  '"messages":[',
  "x".repeat(3000),
  "\u00ff\u00fe\u0000",
  "[".repeat(70),
  'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
  'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
];

it("survives 60,000 callbacks of any kind, order and content, with a host that fails at random", () => {
  const random = generator(20260523);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const shared = createSharedState();
  const worker = startWorker(compiled("token-limit"), shared);
  const good = (finish: boolean) =>
    JSON.stringify(
      tokenConfig((policy) => {
        policy.overrun = finish ? "finish" : "pass";
        policy.shadow = pick([undefined, {}, { header: "x-shadow-mode", maxTokens: 7 }]);
        policy.tenants[",shadow"] = "gold";
        Object.assign(policy.tiers.gold, { requestsPerSecond: pick([0, 0.5, 1e6]), burst: 3 });
        policy.proxies = pick([1, 10000]);
        policy.tiers.bronze.tokensPerMinute = pick(["0", "1", "600", "1000000000"]);
      }),
    );
  const body = () =>
    Buffer.from(
      Array.from({ length: Math.floor(random() * 12) }, () => pick(bits)).join(""),
      "latin1",
    );
  const headers = (): Headers =>
    requestHeaders({
      "x-tenant-id": pick(["acme", "tiny", "open", "who", ""]),
      ":path": pick(["/v1/chat/completions", "/v1/responses", "/completions?x", "/", ""]),
      ":method": pick(["POST", "POST", "POST", "GET", "CONNECT"]),
      ...(random() < 0.7
        ? { "content-length": pick(["0", "57", "-1", "99999999999999999999", "x", "1000000"]) }
        : {}),
      ...(random() < 0.1 ? { "content-encoding": "gzip" } : {}),
      ...(random() < 0.3 ? { "x-shadow-mode": pick(["true", "false", ""]) } : {}),
    });
  const open: Exchange[] = [];
  worker.setFault((call) =>
    call !== "proxy_log" && random() < 0.03 ? pick([1, 2, 6, 8, 10]) : undefined,
  );
  expect(worker.configure(1, good(true))).toBeDefined();
  for (let i = 0; i < 60_000; i++) {
    shared.nowNs += BigInt(Math.floor(random() * 2e9)) - 300_000_000n;
    const exchange = pick(open);
    const dice = random();
    if (dice < 0.005) worker.configure(pick([1, 2, 3]), good(random() < 0.5));
    else if (dice < 0.01) worker.remove(pick([1, 2, 3]));
    else if (dice < 0.03) worker.tick(pick([1, 2, 3]));
    else if (dice < 0.2 || exchange === undefined)
      open.push(worker.exchange(headers(), random() < 0.1));
    else if (dice < 0.4) exchange.requestBody(body(), random() < 0.3);
    else if (dice < 0.5)
      exchange.responseHeaders(
        pick([events, json, [], [[":status", pick(["200", "500", "", "x"])]]]),
        random() < 0.1,
      );
    else if (dice < 0.85) exchange.responseBody(body(), random() < 0.1);
    else if (dice < 0.88)
      worker.raw(
        pick(["proxy_on_request_trailers", "proxy_on_response_trailers"]),
        exchange.context,
        0,
      );
    else if (dice < 0.9) worker.raw("proxy_on_response_body", exchange.context, 2 ** 31, 0);
    else {
      exchange.end();
      if (random() < 0.9) open.splice(open.indexOf(exchange), 1);
    }
    while (open.length > 200) open.shift()?.end();
    if (shared.log.length > 1000) shared.log.length = 0;
    if (shared.httpCalls.length > 10) shared.httpCalls.length = 0;
  }
  // It still does its work afterwards, and no more memory is held than streams need.
  worker.setFault(undefined);
  for (const exchange of open) exchange.end();
  expect(worker.configure(9, good(false))).toBe(true);
  const last = worker.exchange(requestHeaders({ "x-tenant-id": "open" }));
  last.responseHeaders(json);
  last.responseBody(Buffer.from('{"usage":{"prompt_tokens":1,"completion_tokens":2}}'), true);
  expect(last.calls()).toContain("proxy_get_buffer_bytes");
  expect(worker.memoryBytes()).toBeLessThan(16 << 20);
}, 120_000);
