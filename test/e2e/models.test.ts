import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

const host = "models.example.com";
const chat = "/v1/chat/completions";
const names = ["llama", "qwen", "coder", "embed", "rest"] as const;
const maxBodyBytes = 2 << 20;

const pods = new Map<string, Pod>();
let gateway: Gateway;
let client: GatewayClient;

const specs: Record<string, object> = {
  llama: {
    match: [{ model: { exact: "llama-3-8b" } }],
    models: { maxBodyBytes },
    rateLimit: {
      identity: [{ header: "x-tenant-id" }],
      tiers: { small: { requestsPerSecond: 1, burst: 2 }, large: { requestsPerSecond: 1e5 } },
      tenants: { acme: "small" },
      default: "large",
    },
  },
  qwen: { match: [{ model: { prefix: "qwen-" } }, { model: { in: ["tongyi", "gpt-4o-mini"] } }] },
  coder: {
    match: [{ model: { exact: "qwen-coder" } }],
    headers: { response: { set: { "x-team": "coder" } } },
    tellVariant: true,
  },
  embed: {
    match: [
      { path: { exact: "/v1/embeddings" } },
      { path: { prefix: "/files" }, method: "POST", header: "x-team", exact: "search" },
    ],
  },
  rest: {},
};

const routeNamed = (name: string, on = host, spec = specs[name]) => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  metadata: { name, namespace: "inference" },
  spec: {
    hosts: [on],
    variants: [{ name: "stable", weight: 100, endpoints: [`127.0.0.1:${pods.get(name)?.port}`] }],
    ...spec,
  },
});

const sum = (pod: Pod) => [...pod.served.values()].reduce((all, each) => all + each, 0);

/** The routes whose pods were asked meanwhile, else the status and the code of the refusal. */
async function answered(
  ask: () => Promise<{ status: number; body: { toString(): string } }>,
): Promise<string> {
  const before = new Map([...pods].map(([name, pod]) => [name, sum(pod)]));
  const { body, status } = await ask();
  const served = [...pods].filter(([name, pod]) => sum(pod) > (before.get(name) ?? 0));
  if (served.length > 0) return served.map(([name]) => name).join("+");
  return `${status} ${/"code":"(\w+)"/.exec(body.toString())?.[1]}`;
}

interface Sent {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  on?: string;
}

/** Sends these pieces one after another, each in a write of its own. */
async function send(
  pieces: readonly (string | Buffer)[],
  { headers = {}, method = "POST", on = host, path = chat }: Sent = {},
): Promise<{ status: number; body: Buffer }> {
  const { hostname, port } = new URL(gateway.url);
  const sent = request({
    host: hostname,
    port,
    method,
    path,
    headers: { host: on, "content-type": "application/json", ...headers },
  });
  const answer = once(sent, "response");
  answer.catch(() => {});
  sent.on("error", () => {});
  for (const piece of pieces) {
    sent.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  sent.end();
  const [response] = await answer;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, body: Buffer.concat(chunks) };
}
const sentTo = (body: string | Buffer | readonly (string | Buffer)[], how?: Sent) =>
  answered(() => send(typeof body === "string" || Buffer.isBuffer(body) ? [body] : body, how));

beforeAll(async () => {
  for (const name of names) pods.set(name, await startPod("stable", "127.0.0.1", 0));
  gateway = await startGateway();
  const only = {
    ...routeNamed("llama", "only.example.com", {
      ...specs.llama,
      cors: { allowOrigins: ["https://app.example.com"] },
    }),
    metadata: { name: "only", namespace: "inference" },
  };
  // Takes what no other host does, and answers no one.
  const any = {
    ...routeNamed("rest", "*", {
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { none: { forbidden: true } },
        default: "none",
      },
    }),
    metadata: { name: "any", namespace: "inference" },
  };
  await gateway.apply(...names.map((name) => routeNamed(name)), any, only);
  client = gatewayClient(gateway.url);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  for (const pod of pods.values()) await pod.close();
});

describe("five routes on one host of a plain Envoy", () => {
  const tenant = { "x-tenant-id": "acme" };

  it.each([
    ["llama-3-8b", "llama"],
    ["qwen-7b", "qwen"],
    ["tongyi", "qwen"],
    ["qwen-coder", "coder"],
    ["Llama-3-8b", "rest"],
    ["llama-3-8b ", "rest"],
    ["llama-3-8", "rest"],
  ])("the model %j is served by %s, wherever it stands", async (model, route) => {
    const messages = [{ role: "user", content: "x".repeat(300_000) }];
    const metadata = { model: "qwen-coder", more: ['"model":"qwen-coder"'] };
    for (const body of [
      { model, messages },
      { metadata, messages, model },
    ])
      expect(await sentTo(JSON.stringify(body))).toBe(route);
    const text = JSON.stringify({ metadata, model, n: 1 });
    expect(await sentTo([...text])).toBe(route);
    const escaped = text.replace('"model":', '"mo\\u0064el":');
    expect(await sentTo(escaped)).toBe(route);
  });

  it.each([
    ["POST", "/v1/embeddings", "embed"],
    ["POST", "/v1/embeddings?a=/x", "embed"],
    ["POST", "/v1/embeddings/x", "rest"],
    ["GET", "/health", "rest"],
    ["DELETE", "/v1/files/a", "rest"],
    ["GET", "/files/a", "rest"],
  ])("%s %s is served by %s", async (method, path, route) => {
    const body = method === "POST" ? '{"model":"other","input":"x"}' : "";
    expect(await sentTo(body, { method, path })).toBe(route);
  });

  it("an entry with a header takes only requests that have it, also those that are no JSON", async () => {
    const file = Buffer.alloc(3 << 20, 1);
    const headers = { "x-team": "search" };
    expect(await sentTo(file, { path: "/files/upload", headers })).toBe("embed");
    expect(await sentTo(file, { path: "/files/upload" })).toBe("rest");
    expect(await sentTo(file, { path: "/filesystem", headers })).toBe("rest");
  });

  it.each([
    ["no JSON", "hello", "model_unreadable"],
    ["an array", '[{"model":"llama-3-8b"}]', "model_unreadable"],
    ["half a document", '{"messages":[', "model_unreadable"],
    ["a number", '{"model":7}', "model_unreadable"],
    ["null", '{"model":null}', "model_unreadable"],
    ["an empty name", '{"model":""}', "model_unreadable"],
    ["a long name", `{"model":"${"x".repeat(10_000)}"}`, "model_unreadable"],
    ["two models", '{"model":"llama-3-8b","model":"qwen-7b"}', "model_unreadable"],
    ["UTF-16", Buffer.from('{"model":"llama-3-8b"}', "utf16le"), "model_unreadable"],
    ["nothing", "", "model_unreadable"],
  ])("a body with %s is refused with 400", async (_what, body, code) => {
    expect(await sentTo(body)).toBe(`400 ${code}`);
  });

  it("an encoded body is refused: what it hides cannot be read", async () => {
    const headers = { "content-encoding": "gzip" };
    expect(await sentTo("x", { headers })).toBe("400 model_unreadable");
  });

  it("a second model after the decision ends the request before a pod answers", async () => {
    for (const second of ["llama-3-8b", "qwen-7b"]) {
      const pieces = ['{"model":"llama-3-8b","messages":[{"content":"', "x".repeat(100_000), '"}]'];
      const { body, status } = await send([...pieces, `,"model":"${second}"}`]);
      expect(status).toBe(400);
      expect(JSON.parse(body.toString()).error.message).toContain("more than once");
    }
  });

  it("holds as much of a body as maxBodyBytes says, and no more", async () => {
    const body = (bytes: number) => `{"x":"${"y".repeat(bytes)}","model":"qwen-7b"}`;
    expect(await sentTo(body(maxBodyBytes - 1000))).toBe("qwen");
    expect(await sentTo(body(2 * maxBodyBytes))).toBe("413 model_too_late");
    // Once the model is known, a body may be as long as it likes.
    expect(await sentTo(`{"model":"qwen-7b","x":"${"y".repeat(10 << 20)}"}`)).toBe("qwen");
  });

  it("a client cannot choose the route by Weir's own headers", async () => {
    const headers = { "x-weir-route": "inference/coder", "x-weir-model": "qwen-coder" };
    expect(await sentTo('{"model":"qwen-7b"}', { headers })).toBe("qwen");
    expect(await sentTo("", { method: "GET", path: "/health", headers })).toBe("rest");
    expect(await sentTo("", { method: "GET", path: "/v1/else", headers })).toBe("rest");
  });

  it("each has its own limits and headers", async () => {
    const ask = () => sentTo('{"model":"llama-3-8b"}', { headers: tenant });
    expect([await ask(), await ask(), await ask()]).toEqual(["llama", "llama", "429 rate_limited"]);
    expect(await sentTo('{"model":"qwen-7b"}', { headers: tenant })).toBe("qwen");
    const coder = await client.post(chat, { model: "qwen-coder" }, { host });
    expect(coder.headers).toMatchObject({ "x-team": "coder", "x-weir-variant": "stable" });
    const qwen = await client.post(chat, { model: "qwen-7b" }, { host });
    expect(qwen.headers["x-team"]).toBeUndefined();
    expect(qwen.headers["x-weir-variant"]).toBeUndefined();
  });

  it("a form's field names the model", async () => {
    const form = (...fields: string[]) =>
      `${fields.map((field) => `--b\r\nContent-Disposition: form-data; ${field}\r\n`).join("")}--b--\r\n`;
    const file = `name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n${"\u0001".repeat(100_000)}`;
    const model = (name: string) => `name="model"\r\n\r\n${name}`;
    const how = {
      path: "/v1/audio/transcriptions",
      headers: { "content-type": "multipart/form-data; boundary=b" },
    };
    expect(await sentTo(form(file, model("qwen-7b")), how)).toBe("qwen");
    expect(await sentTo(form(model("qwen-coder"), file), how)).toBe("coder");
    expect(await sentTo(form(model("a"), model("b")), how)).toBe("400 model_unreadable");
    expect(await sentTo(form(file), how)).toBe("rest");
  });

  it("lists the models that the routes name", async () => {
    const { body, status } = await client.get("/v1/models", { host });
    expect(status).toBe(200);
    const list = JSON.parse(body.toString());
    expect(list.data.map(({ id }: { id: string }) => id).sort()).toEqual([
      "gpt-4o-mini",
      "llama-3-8b",
      "qwen-coder",
      "tongyi",
    ]);
    expect(list).toMatchObject({ object: "list", has_more: false });
  });
});

describe("a host without a route for the rest", () => {
  const on = "only.example.com";

  it("answers 404 for other models, in the words of the API that is asked", async () => {
    const openai = await send(['{"model":"gpt-5"}'], { on });
    expect(openai.status).toBe(404);
    expect(JSON.parse(openai.body.toString())).toMatchObject({
      status: 404,
      code: "model_not_found",
      error: {
        type: "invalid_request_error",
        code: "model_not_found",
        message: "The model `gpt-5` does not exist",
      },
    });
    const anthropic = await send(['{"model":"gpt-5"}'], { on, path: "/v1/messages" });
    expect(anthropic.status).toBe(404);
    expect(JSON.parse(anthropic.body.toString())).toMatchObject({
      type: "error",
      error: { type: "not_found_error", message: "The model `gpt-5` does not exist" },
    });
  });

  it("holds as much over HTTP/2", async () => {
    const session = connect(gateway.url);
    const ask = (bytes: number) =>
      new Promise<string>((resolve, reject) => {
        const headers = { ":method": "POST", ":path": chat, ":authority": on };
        const stream = session.request({ ...headers, "content-type": "application/json" });
        let body = "";
        let status = 0;
        stream.on("response", ({ ":status": code = 0 }) => {
          status = code;
        });
        stream.on("data", (chunk) => {
          body += chunk;
        });
        stream.on("end", () => resolve(`${status} ${/"code":"(\w+)"/.exec(body)?.[1]}`));
        stream.on("error", reject);
        stream.end(`{"x":"${"y".repeat(bytes)}","model":"llama-3-8b"}`);
      });
    expect(await ask(100_000)).toBe("200 undefined");
    expect(await ask(maxBodyBytes - 1000)).toBe("200 undefined");
    expect(await ask(2 * maxBodyBytes)).toBe("413 model_too_late");
    session.destroy();
  });

  it.each([
    "zzz",
    `${on}:`,
    `${on}.`,
    `${on}..`,
    `${on}.:`,
    on.toUpperCase(),
    `${on}:80`,
    `${on}:80.`,
  ])("Envoy and the filters mean the same route by the host %s", async (form) => {
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(await sentTo('{"model":"llama-3-8b"}', { on: form }));
    // The route of all other hosts answers no one: whatever it served would be past its limits.
    expect(answers).not.toContain("rest");
    for (const answer of answers) expect(["llama", "403 forbidden"]).toContain(answer);
  });

  it("answers pages of other origins before it is known which route a request is for", async () => {
    const headers = {
      host: on,
      origin: "https://app.example.com",
      "access-control-request-method": "POST",
    };
    const { headers: said, status } = await client.send("OPTIONS", chat, headers);
    expect(status).toBe(200);
    expect(said["access-control-allow-origin"]).toBe("https://app.example.com");
    const { headers: refused } = await client.post(chat, { model: "gpt-5" }, headers);
    expect(refused["access-control-allow-origin"]).toBe("https://app.example.com");
  });

  it("holds as much of a body as maxBodyBytes says, and no more", async () => {
    const body = (bytes: number) => `{"x":"${"y".repeat(bytes)}","model":"llama-3-8b"}`;
    expect(await sentTo(body(maxBodyBytes - 1000), { on })).toBe("llama");
    expect(await sentTo(body(2 * maxBodyBytes), { on })).toBe("413 model_too_late");
  });

  it("answers 400 where no model is named, and 404 elsewhere", async () => {
    expect(await sentTo('{"messages":[]}', { on })).toBe("400 model_missing");
    expect(await sentTo("", { on, method: "GET", path: "/v1/else" })).toBe("404 route_not_found");
    expect(await sentTo('{"model":"llama-3-8b"}', { on })).toBe("llama");
  });
});
