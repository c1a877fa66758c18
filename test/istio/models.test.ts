import { resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "../../control/istio/index.ts";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";
import { type GatewayClient, gatewayClient } from "../e2e/gateway-client.ts";
import { freePorts } from "../free-ports.ts";
import { type Mesh, serviceObject, sidecarNode, startMesh } from "./mesh.ts";

const chat = "/v1/chat/completions";
const maxBodyBytes = 2 << 20;
const outside = "models.example.com";
const page = "https://chat.example.org";
const inside = "llm.inference.svc.cluster.local";

/** What each route asks of its requests; each has a Service with two variants of its own. */
const asks: Record<string, object> = {
  llama: {
    match: [{ model: { exact: "llama-3-8b" } }],
    models: { maxBodyBytes },
    compression: { algorithms: ["gzip"], minBytes: 30 },
  },
  qwen: { match: [{ model: { prefix: "qwen-" } }] },
  coder: { match: [{ model: { exact: "qwen-coder" } }], tellVariant: true },
  embed: { match: [{ path: { exact: "/v1/embeddings" } }] },
  search: { match: [{ header: "x-team", exact: "search" }] },
};

const pods = new Map<string, Pod>();
let port = 0;
let mesh: Mesh;
let stopSidecar: () => Promise<void>;
const clients: Record<string, GatewayClient> = {};

function routeNamed(name: string): object {
  const onGateway = name === "llama" ? { filters: ["canary", "compression"] } : {};
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "inference" },
    spec: {
      hosts: [outside, inside],
      gateways: ["istio-system/public", "mesh"],
      attach: {
        namespace: "istio-system",
        selector: { istio: "ingressgateway" },
        side: "gateway",
        ...onGateway,
      },
      alsoAttach: [{ selector: { app: "caller" }, side: "client", filters: ["canary"] }],
      service: { name, port },
      cors: { allowOrigins: [page] },
      canary: { stickyBy: [{ header: "x-user-id" }] },
      variants: ["stable", "canary"].map((each) => ({
        name: each,
        weight: 50,
        labels: { version: each },
      })),
      ...asks[name],
    },
  };
}

/** Their objects, with what the specs of the routes have besides. */
function rendered(more: Record<string, object> = {}): string {
  const names = [...new Set([...Object.keys(asks), ...Object.keys(more)])];
  const documents = names.map((name) => {
    const { spec, ...route } = routeNamed(name) as { spec: object };
    return JSON.stringify({ ...route, spec: { ...spec, ...more[name] } });
  });
  const { problems, routes } = parseRoutes(documents.join("\n---\n"));
  expect(problems).toEqual([]);
  const states: RouteState[] = routes.map((route) =>
    create(RouteStateSchema, draftRoute(route, undefined)),
  );
  const rendering = renderIstio(states, { wasmUrl: `file://${resolve("build/weir.wasm")}` });
  expect(rendering.problems).toEqual([]);
  return toYaml(rendering.manifests);
}

interface Sent {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
}

/** The route whose pod answered, else the status and the code of the refusal. */
async function askedAt(place: string, body: string, sent: Sent = {}): Promise<string> {
  const { headers = {}, method = "POST", path = chat } = sent;
  const { body: text, ...answer } = await (clients[place] as GatewayClient).send(
    method,
    path,
    {
      host: place === "gateway" ? outside : `${inside}:${port}`,
      "content-type": "application/json",
      ...headers,
    },
    body,
  );
  const pod = answer.headers["x-pod"];
  if (typeof pod === "string") return pod.split("/", 1)[0] ?? "";
  return `${answer.status} ${/"code":"(\w+)"/.exec(text.toString())?.[1]}`;
}

beforeAll(async () => {
  const [service = 0] = await freePorts(1);
  port = service;
  const portsOf = async (name: string) => {
    const ports: Record<string, number> = {};
    for (const variant of ["stable", "canary"]) {
      const pod = await startPod(`${name}/${variant}`, "127.0.0.1", 0);
      pods.set(`${name}/${variant}`, pod);
      ports[variant] = pod.port;
    }
    return ports;
  };
  mesh = await startMesh("llm", "inference", {}, port);
  for (const name of [...Object.keys(asks), "rest"])
    await mesh.apply(serviceObject(name, "inference", await portsOf(name), port));
  await mesh.apply(rendered());
  stopSidecar = await mesh.join(sidecarNode("caller", "inference"));
  clients.gateway = gatewayClient(mesh.gateway);
  clients.sidecar = gatewayClient(`http://127.0.0.1:${port}`);
}, 900_000);
afterAll(async () => {
  for (const client of Object.values(clients)) client.close();
  await stopSidecar?.();
  await mesh?.stop();
  for (const pod of pods.values()) await pod.close();
});

describe.each(["gateway", "sidecar"])("five routes on one host of a %s under Istio", (place) => {
  const asked = (body: string, sent?: Sent) => askedAt(place, body, sent);

  it("are there once the proxy has the filter", async () => {
    await expect
      .poll(() => asked('{"model":"llama-3-8b"}').catch(String), { timeout: 30_000 })
      .toBe("llama");
  });

  it.each([
    ["llama-3-8b", "llama"],
    ["qwen-7b", "qwen"],
    ["qwen-coder", "coder"],
  ])("the model %s is served by %s, wherever it stands in the body", async (model, route) => {
    const messages = [{ role: "user", content: "x".repeat(300_000) }];
    const metadata = { model: "qwen-coder" };
    expect(await asked(JSON.stringify({ model, metadata, messages }))).toBe(route);
    expect(await asked(JSON.stringify({ metadata, messages, model }))).toBe(route);
  });

  it("a path and a header are served by the routes that ask for them", async () => {
    expect(await asked('{"model":"other"}', { path: "/v1/embeddings" })).toBe("embed");
    expect(await asked("", { method: "GET", path: "/v1/embeddings?a=b" })).toBe("embed");
    expect(await asked('{"model":"other"}', { headers: { "x-team": "search" } })).toBe("search");
  });

  it("what no route takes gets 404, and what cannot be read 400", async () => {
    expect(await asked('{"model":"gpt-5"}')).toBe("404 model_not_found");
    expect(await asked("", { method: "GET", path: "/v1/else" })).toBe("404 route_not_found");
    expect(await asked("{}")).toBe("400 model_missing");
    expect(await asked("hello")).toBe("400 model_unreadable");
  });

  it("a client cannot choose the route by Weir's own headers", async () => {
    const headers = { "x-weir-route": "inference/coder", "x-weir-model": "qwen-coder" };
    expect(await asked('{"model":"qwen-7b"}', { headers })).toBe("qwen");
    expect(await asked('{"model":"gpt-5"}', { headers })).toBe("404 model_not_found");
  });

  it("each has a canary of its own", async () => {
    const [client] = [clients[place] as GatewayClient];
    const podOf = async (model: string, user: string) => {
      const headers = {
        host: place === "gateway" ? outside : `${inside}:${port}`,
        "x-user-id": user,
      };
      return String((await client.post(chat, { model }, headers)).headers["x-pod"]);
    };
    const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
    const pods: Record<string, string[]> = {};
    for (const model of ["llama-3-8b", "qwen-7b"]) {
      const once = await Promise.all(users.map((user) => podOf(model, user)));
      expect(await Promise.all(users.map((user) => podOf(model, user)))).toEqual(once);
      pods[model] = once.map((pod) => pod.split("/")[1] ?? "");
      expect(new Set(pods[model])).toEqual(new Set(["stable", "canary"]));
    }
    expect(pods["llama-3-8b"]).not.toEqual(pods["qwen-7b"]);
  });

  it("holds as much of a body as maxBodyBytes says, and no more", async () => {
    const body = (bytes: number) => `{"x":"${"y".repeat(bytes)}","model":"qwen-7b"}`;
    expect(await asked(body(maxBodyBytes - 1000))).toBe("qwen");
    expect(await asked(body(2 * maxBodyBytes))).toBe("413 model_too_late");
  });
});

it("pages of an allowed origin may ask a gateway, and read what the filter that chooses refuses", async () => {
  const client = clients.gateway as GatewayClient;
  const headers = { host: outside, origin: page };
  const allowed = "access-control-allow-origin";
  const preflight = { ...headers, "access-control-request-method": "POST" };
  const asked = await client.send("OPTIONS", chat, preflight);
  expect([asked.status, asked.headers[allowed]]).toEqual([200, page]);
  const refused = await client.post(chat, { model: "gpt-5" }, headers);
  expect([refused.status, refused.headers[allowed]]).toEqual([404, page]);
  const others = { host: outside, origin: "https://other.example.org" };
  const hidden = await client.post(chat, { model: "gpt-5" }, others);
  expect([hidden.status, hidden.headers[allowed]]).toEqual([404, undefined]);
});

it("at a gateway only the route that asks for it is compressed", async () => {
  const encodingOf = async (model: string) => {
    const headers = { host: outside, "accept-encoding": "gzip" };
    const answer = await (clients.gateway as GatewayClient).post(chat, { model }, headers);
    expect(answer.status).toBe(200);
    return answer.headers["content-encoding"];
  };
  expect(await encodingOf("llama-3-8b")).toBe("gzip");
  expect(await encodingOf("qwen-7b")).toBeUndefined();
});

describe("five routes and one for the rest, where a proxy in front writes the model into a header", () => {
  const models = { header: "x-model" };
  const inHeader = (model: string, more = {}) => ({ headers: { "x-model": model, ...more } });

  it("need no EnvoyFilter that holds requests", async () => {
    const before = rendered();
    const header = Object.fromEntries(Object.keys(asks).map((name) => [name, { models }]));
    const after = rendered({ ...header, rest: { match: [] } });
    const holds = "allow_on_headers_stop_iteration";
    expect([before.includes(holds), after.includes(holds)]).toEqual([true, false]);
    const objects = before.split("---\n").filter((object) => object.includes(holds));
    for (const object of objects) await mesh.remove(object);
    await mesh.apply(after);
    for (const place of ["gateway", "sidecar"])
      await expect
        .poll(() => askedAt(place, "{}", inHeader("gpt-5")).catch(String), { timeout: 30_000 })
        .toBe("rest");
  });

  it.each(["gateway", "sidecar"])(
    "are told apart at a %s, and bodies do not count",
    async (place) => {
      const body = '{"model":"qwen-coder"}';
      const asked = (sent: Sent) => askedAt(place, body, sent);
      expect(await asked(inHeader("llama-3-8b"))).toBe("llama");
      expect(await asked(inHeader("qwen-7b"))).toBe("qwen");
      expect(await asked({})).toBe("rest");
      expect(await asked({ path: "/v1/embeddings" })).toBe("embed");
      expect(await asked(inHeader("gpt-5", { "x-weir-route": "inference/coder" }))).toBe("rest");
    },
  );
});
