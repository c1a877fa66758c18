import { describe, expect, it } from "vitest";
import type { Headers } from "../../host/header-map.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, requestHeaders } from "../module.ts";

const entry = (rank: number, more: object) => ({ rank, ...more });
const route = (name: string, select: object, hosts = ["chat.example.com"]) => ({
  name: `inference/${name}`,
  hosts,
  select: { maxBodyBytes: 1 << 16, ...select },
});
const config = (...routes: object[]) => ({ revision: "s1", routes });
const worker = (...routes: object[]) =>
  configuredProxy("route-select", config(...routes)).workers[0] as Worker;

const llama = route("llama", { match: [entry(9, { model: "llama" })], readsBody: true });
const qwen = route("qwen", { match: [entry(5, { modelPrefix: "qwen-" })], readsBody: true });
const rest = route("rest", {});
const post = (more: Record<string, string> = {}) =>
  requestHeaders({
    ":method": "POST",
    ":path": "/v1/chat/completions",
    "content-type": "application/json",
    ...more,
  });
const valueOf = (headers: Headers, name: string) => headers.find(([key]) => key === name)?.[1];

/** The route and the model that a request goes on with, or the status of its refusal. */
function chosen(on: Worker, headers: Headers, ...pieces: string[]): string {
  const exchange = on.exchange(headers, pieces.length === 0);
  const went = pieces.map((piece, index) =>
    exchange.requestBody(Buffer.from(piece), index === pieces.length - 1).toString(),
  );
  const reply = exchange.reply();
  if (reply) return `${reply.status} ${/"code":"(\w+)"/.exec(reply.body)?.[1]}`;
  expect(went.join("")).toBe(pieces.join(""));
  exchange.end();
  const of = exchange.requestHeaders;
  return `${valueOf(of, "x-weir-route")} ${valueOf(of, "x-weir-model") ?? "-"}`;
}

describe("route-select.wasm", () => {
  const on = worker(rest, llama, qwen);

  it("gives a request to the route of its model, however its body comes in pieces", () => {
    const text = '{"messages":[{"content":"a\\"b"}],"model":"qwen-7b","n":1}';
    for (let cut = 1; cut < text.length; cut++)
      expect(chosen(on, post(), text.slice(0, cut), text.slice(cut))).toBe(
        "inference/qwen qwen-7b",
      );
    expect(chosen(on, post(), ...text)).toBe("inference/qwen qwen-7b");
    expect(chosen(on, post(), '{"model":"llama"}')).toBe("inference/llama llama");
    expect(chosen(on, post(), '{"model":"other"}')).toBe("inference/rest other");
    expect(chosen(on, post(), "{}")).toBe("inference/rest -");
  });

  it("lets the headers go as soon as the model is known", () => {
    const exchange = on.exchange(post());
    expect(exchange.stopped()).toBe(true);
    expect(exchange.requestBody(Buffer.from('{"model":"lla'), false)).toHaveLength(0);
    expect(exchange.requestBody(Buffer.from('ma","x":"'), false).toString()).toBe(
      '{"model":"llama","x":"',
    );
    expect(exchange.requestBody(Buffer.from("y"), false).toString()).toBe("y");
    exchange.end();
  });

  it("ends a request that names a second model after the first", () => {
    const exchange = on.exchange(post());
    exchange.requestBody(Buffer.from('{"model":"llama","x":1'), false);
    expect(exchange.reply()).toBeUndefined();
    expect(exchange.requestBody(Buffer.from(',"model":"qwen-7b"}'), true)).toHaveLength(0);
    expect(exchange.reply()?.status).toBe(400);
  });

  it("reads a body that trailers end", () => {
    const exchange = on.exchange(post());
    exchange.requestBody(Buffer.from('{"model":"other"'), false);
    exchange.requestTrailers([["x", "y"]]);
    expect(exchange.reply()?.status).toBe(400);
    const whole = on.exchange(post());
    whole.requestBody(Buffer.from('{"x":{}}'), false);
    whole.requestTrailers([["x", "y"]]);
    expect(valueOf(whole.requestHeaders, "x-weir-route")).toBe("inference/rest");
  });

  it("overwrites or removes what a client claims, and leaves other hosts alone", () => {
    const claims = { "x-weir-route": "inference/llama", "x-weir-model": "llama" };
    expect(chosen(on, post(claims), '{"model":"qwen-7b"}')).toBe("inference/qwen qwen-7b");
    expect(chosen(on, requestHeaders(claims))).toBe("inference/rest -");
    const alone = worker(rest);
    const passed = alone.exchange(requestHeaders(claims), true).requestHeaders;
    expect(passed).toEqual(requestHeaders(claims));
  });

  it("asks entries by their rank, whatever the order of routes and entries", () => {
    const one = route("one", {
      match: [entry(1, { method: "GET" }), entry(8, { path: "/a" }), entry(3, { method: "GET" })],
    });
    const two = route("two", { match: [entry(2, { method: "GET" }), entry(9, { path: "/a/b" })] });
    for (const order of [worker(one, two, rest), worker(rest, two, one)]) {
      const get = (path: string) =>
        chosen(order, requestHeaders({ ":method": "GET", ":path": path }));
      expect(get("/")).toBe("inference/one -");
      expect(get("/a?b")).toBe("inference/one -");
      expect(get("/a/b#c")).toBe("inference/two -");
      expect(chosen(order, requestHeaders({ ":method": "PUT", ":path": "/" }))).toBe(
        "inference/rest -",
      );
    }
  });

  it("reads only POSTs with a body", () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const exchange = on.exchange(post({ ":method": method }));
      expect(exchange.stopped()).toBe(false);
      exchange.end();
    }
    expect(chosen(on, post())).toBe("inference/rest -");
  });

  it("believes a header that a proxy in front wrote, where the routes say so", () => {
    const by = (name: string, model: string) =>
      route(name, { match: [entry(2, { model })], modelHeader: "x-ai-model" });
    const told = worker(by("llama", "llama"), by("qwen", "qwen"));
    expect(chosen(told, post({ "x-ai-model": "qwen" }), '{"model":"llama"}')).toBe(
      "inference/qwen qwen",
    );
    expect(chosen(told, post({ "x-ai-model": "none" }))).toBe("404 model_not_found");
    expect(chosen(told, post())).toBe("404 route_not_found");
  });

  it("gives what it cannot read to the route that accepts it", () => {
    const accepting = worker(llama, route("any", { acceptsUnreadable: true }));
    expect(chosen(accepting, post(), '{"model":7}')).toBe("inference/any -");
    expect(chosen(accepting, post(), "x".repeat(70_000))).toBe("inference/any -");
    expect(chosen(accepting, post({ "content-encoding": "gzip" }), "x")).toBe("inference/any -");
    const long = `{"x":"${"y".repeat(70_000)}"`;
    expect(chosen(accepting, post(), long, ',"model":"llama"}')).toBe("inference/any -");
    expect(chosen(worker(llama), post(), long, ',"model":"llama"}')).toBe("413 model_too_late");
  });

  it("takes no model that stands beyond the limit, and no second one, however a body is split", () => {
    const accepting = worker(llama, qwen, route("any", { acceptsUnreadable: true }));
    const late = `{"x":"${"y".repeat(70_000)}","model":"llama"}`;
    const twice = '{"model":"llama","model":"qwen-7b"}';
    const wrong = '{"model":"llama",,}';
    const pieces = (text: string) => [[text], [text.slice(0, 17), text.slice(17)]];
    for (const split of pieces(late))
      expect(chosen(accepting, post(), ...split)).toBe("inference/any -");
    for (const split of pieces(late))
      expect(chosen(on, post(), ...split)).toBe("413 model_too_late");
    for (const text of [twice, wrong])
      for (const split of pieces(text)) {
        const exchange = accepting.exchange(post());
        for (const [index, piece] of split.entries())
          if (!exchange.reply())
            exchange.requestBody(Buffer.from(piece), index === split.length - 1);
        expect(exchange.reply()?.status).toBe(400);
      }
  });

  it("lists as many models as an answer has room for, and says that there are more", () => {
    const many = (count: number) =>
      worker(
        route("many", {
          match: Array.from({ length: count }, (_, i) => entry(1, { model: `m${i}` })),
          modelHeader: "x-ai-model",
        }),
      );
    const list = (count: number) => {
      const get = requestHeaders({ ":method": "GET", ":path": "/v1/models" });
      return JSON.parse(many(count).exchange(get, true).reply()?.body ?? "");
    };
    expect(list(10)).toMatchObject({ has_more: false, data: { length: 10 } });
    const long = list(4000);
    expect(long.has_more).toBe(true);
    expect(long.data.length).toBeGreaterThan(1000);
    expect(long.last_id).toBe(long.data.at(-1).id);
  });

  it("forgets what it holds, however a request ends", () => {
    const before = on.memoryBytes();
    for (let i = 0; i < 100_000; i++) {
      const exchange = on.exchange(post());
      if (i % 3 > 0) exchange.requestBody(Buffer.from('{"x":1'), false);
      exchange.end();
    }
    expect(on.memoryBytes()).toBe(before);
  });

  it("chooses by the configuration that is there when the model comes", () => {
    const moved = worker(llama, rest);
    const exchange = moved.exchange(post());
    exchange.requestBody(Buffer.from('{"model":'), false);
    const after = config(route("new", { match: [entry(9, { model: "llama" })], readsBody: true }));
    expect(moved.configure(2, JSON.stringify({ ...after, revision: "s2" }))).toBe(true);
    moved.remove(1);
    exchange.requestBody(Buffer.from('"llama"}'), true);
    expect(valueOf(exchange.requestHeaders, "x-weir-route")).toBe("inference/new");
  });

  it.each([
    ["a rank of 0", { match: [{ rank: 0 }] }],
    ["no rank", { match: [{ model: "x" }] }],
    ["an unknown member", { match: [{ rank: 1, host: "x" }] }],
    ["a header that is none", { modelHeader: "X Y" }],
    ["a body beyond 32 MiB", { maxBodyBytes: (1 << 25) + 1 }],
  ])("refuses a configuration with %s", (_what, select) => {
    const { workers } = configuredProxy("route-select", config(rest));
    expect(workers[0]?.configure(2, JSON.stringify(config(route("bad", select))))).toBe(false);
  });
});

describe("other modules on a host of several routes", () => {
  const limited = (name: string) => ({
    name: `inference/${name}`,
    hosts: ["chat.example.com"],
    canary: {
      stickyBy: [{ header: "x-user-id" }],
      buckets: [{ variant: name, count: 10_000 }],
      variants: [name],
    },
  });
  const both = { revision: "r1", routes: [limited("a"), limited("b")] };

  it("weir-full.wasm goes by the route that was chosen", () => {
    const on = configuredProxy("weir-full", both).workers[0] as Worker;
    const variant = (more: Record<string, string>) =>
      valueOf(on.request(requestHeaders({ "x-user-id": "u", ...more })).headers, "x-weir-variant");
    expect(variant({ "x-weir-route": "inference/a" })).toBe("a");
    expect(variant({ "x-weir-route": "inference/b" })).toBe("b");
    for (const none of [{}, { "x-weir-route": "inference/c" }, { "x-weir-route": "" }])
      expect(variant({ ...none, "x-weir-variant": "a" })).toBeUndefined();
  });

  it("weir.wasm refuses such a configuration, as it cannot tell them apart", () => {
    const { workers } = configuredProxy("weir", { revision: "r0", routes: [limited("a")] });
    expect(workers[0]?.configure(2, JSON.stringify(both))).toBe(false);
  });
});
