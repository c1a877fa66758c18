import { describe, expect, it } from "vitest";
import { valuesOf } from "../../host/header-map.ts";
import type { Worker } from "../../host/worker.ts";
import { requestHeaders } from "../module.ts";
import { events, json, says, stream, tokenProxy, usage } from "./token-streams.ts";

const acme = { "x-tenant-id": "acme", "x-weir-variant": "stable" };
const tagged = { "x-shadow-mode": "true" };

/** Tokens are counted as for a route that diverts, and clamps what it diverts. */
const diverts =
  (maxTokens = 64) =>
  (policy: any) => {
    policy.shadow = { header: "x-shadow-mode", maxTokens };
    policy.tenants[",shadow"] = "bronze";
  };
/** As at the pods of a shadow, where nothing else arrives. */
const copies = (policy: any) => {
  for (const name of Object.keys(policy)) delete policy[name];
  Object.assign(policy, { variants: ["next"], shadow: { maxTokens: 64 } });
};

/** Sends a request; the body that the pods get, which is as long as they were told. */
function ask(worker: Worker, headers: Record<string, string>, text: string, cuts: number[] = []) {
  const body = Buffer.from(text, "utf8");
  const exchange = worker.exchange(
    requestHeaders({ ...acme, "content-length": String(body.length), ...headers }),
  );
  const places = [0, ...cuts, body.length];
  const pieces = places
    .slice(1)
    .map((end, i) => exchange.requestBody(body.subarray(places[i], end), end === body.length));
  const sent = Buffer.concat(pieces);
  expect(sent.length).toBe(Number(valuesOf(exchange.requestHeaders, "content-length")[0]));
  return { exchange, sent: sent.toString() };
}

const left = (worker: Worker, headers: Record<string, string>) => {
  const { exchange } = ask(worker, headers, '{"max_tokens":1}');
  return Object.fromEntries(exchange.responseHeaders(json))["x-ratelimit-remaining-tokens"];
};

describe("what shadow requests ask for", () => {
  it.each<[string, string, string, object]>([
    ["more than they may have", "chat/completions", '{"max_tokens":5000}', { max_tokens: 64 }],
    ["less", "chat/completions", '{"max_tokens": 12}', { max_tokens: 12 }],
    [
      "more under the newer name",
      "chat/completions",
      '{"max_completion_tokens":1e6}',
      { max_completion_tokens: 64 },
    ],
    ["nothing", "chat/completions", '{"messages":[]}', { messages: [], max_tokens: 64 }],
    ["null", "completions", '{"max_tokens":null}', { max_tokens: 64 }],
    ["more as a text", "completions", '{"max_tokens":"9999"}', { max_tokens: 64 }],
    [
      "nothing of the Responses API",
      "responses",
      '{"input":"hi"}',
      { input: "hi", max_output_tokens: 64 },
    ],
    [
      "more of the Responses API",
      "responses",
      '{"max_output_tokens":777}',
      { max_output_tokens: 64 },
    ],
    ["more of the Messages API", "messages", '{"max_tokens":777}', { max_tokens: 64 }],
    [
      "a stream",
      "chat/completions",
      '{"stream":true,"max_tokens":777}',
      { stream: true, max_tokens: 64 },
    ],
  ])("%s is at most the clamp, cut at any byte", (_name, path, text, wanted) => {
    const { worker } = tokenProxy(copies);
    const headers = { ":path": `/v1/${path}` };
    expect(JSON.parse(ask(worker, headers, text).sent)).toEqual(wanted);
    for (let cut = 1; cut < text.length; cut++)
      expect(JSON.parse(ask(worker, headers, text, [cut]).sent)).toEqual(wanted);
  });

  it("is left alone where it calls no model, or cannot be read", () => {
    const { worker } = tokenProxy(copies);
    const text = '{"max_tokens":5000}';
    expect(ask(worker, { ":path": "/v1/embeddings" }, text).sent).toBe(text);
    expect(ask(worker, { "content-encoding": "gzip" }, text).sent).toBe(text);
  });

  it("is clamped of marked requests alone, where others pass as well", () => {
    const { worker } = tokenProxy(diverts());
    const text = '{"max_tokens":5000,"messages":[]}';
    expect(JSON.parse(ask(worker, {}, text).sent).max_tokens).toBe(5000);
    expect(JSON.parse(ask(worker, { "x-shadow-mode": "false" }, text).sent).max_tokens).toBe(5000);
    expect(JSON.parse(ask(worker, tagged, text).sent).max_tokens).toBe(64);
  });

  it("is granted to each choice, and the answer passes as the pod gives it", () => {
    const { worker } = tokenProxy(copies);
    const { exchange, sent } = ask(worker, {}, '{"n":3,"max_tokens":500,"stream":true}');
    expect(JSON.parse(sent)).toEqual({ n: 3, max_tokens: 64, stream: true });
    exchange.responseHeaders(events);
    const text = stream(says("a"), says("b"), "[DONE]");
    expect(exchange.responseBody(Buffer.from(text), true).toString()).toBe(text);
  });
});

describe("what shadow requests are charged to", () => {
  it("is no tenant, but a bucket of their own", () => {
    const proxy = tokenProxy(diverts(500));
    const before = left(proxy.worker, {});
    for (let i = 0; i < 3; i++) {
      const { exchange } = ask(proxy.worker, tagged, '{"max_tokens":100}');
      expect(exchange.reply()).toBeUndefined();
      exchange.responseHeaders(json);
      exchange.responseBody(Buffer.from(JSON.stringify({ usage: usage(100, 100) })), true);
    }
    expect(Number(left(proxy.worker, {}))).toBeGreaterThan(Number(before) - 100);
    // All of 600 tokens a minute are gone, for whoever tests.
    const refused = ask(proxy.worker, { ...tagged, "x-tenant-id": "open" }, '{"max_tokens":100}');
    expect(refused.exchange.reply()?.status).toBe(429);
    expect(ask(proxy.worker, {}, '{"max_tokens":100}').exchange.reply()).toBeUndefined();
  });

  it("is clamped by what that bucket still has as well", () => {
    const { worker } = tokenProxy(diverts(5000));
    const { max_tokens: granted } = JSON.parse(ask(worker, tagged, '{"max_tokens":9000}').sent);
    expect(granted).toBeLessThanOrEqual(600);
    expect(granted).toBeGreaterThan(500);
  });

  it("cannot be named by a client", () => {
    const { worker } = tokenProxy(diverts());
    // Each is one of the unknown, and these have 600 as well, but another 600.
    const statuses = [",shadow", "shadow", " ,shadow"].map((name) => {
      const { exchange } = ask(worker, { "x-tenant-id": name }, '{"max_tokens":5000}');
      return exchange.reply()?.status ?? 200;
    });
    expect(statuses).toEqual([200, 429, 429]);
    const own = JSON.parse(ask(worker, tagged, '{"max_tokens":60}').sent);
    expect(own).toEqual({ max_tokens: 60 });
  });
});
