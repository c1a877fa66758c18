import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clone, create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CorsSchema, ResilienceSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "../../control/istio/index.ts";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { draftRoute, parseRoutes, shiftWeights } from "../../control/route/index.ts";
import { type Answer, type GatewayClient, gatewayClient } from "../e2e/gateway-client.ts";
import { type Mesh, startMesh } from "./mesh.ts";

const wasmUrl = `file://${resolve("build/weir.wasm")}`;
const acme = { "x-tenant-id": "acme" };

/** An example's route to the mesh's Service, with no limit that a test reaches by accident. */
function stateOf(example: string): RouteState {
  const text = readFileSync(`examples/${example}/route.yaml`, "utf8");
  const { routes, problems } = parseRoutes(
    text
      .replace("requestsPerSecond: 100, burst: 200", "requestsPerSecond: 50000, burst: 50000")
      .replace(/service: \{ name: \w+,/, "service: { name: llm,"),
  );
  if (!routes[0]) throw new Error(JSON.stringify(problems));
  return create(RouteStateSchema, draftRoute(routes[0], undefined));
}

function render(state: RouteState): string {
  const { manifests, problems } = renderIstio([state], { wasmUrl });
  expect(problems).toEqual([]);
  return toYaml(manifests);
}

function shifted(state: RouteState, weights: Record<string, number>): RouteState {
  const { route } = state.route ? shiftWeights(state.route, weights) : {};
  if (!route) throw new Error("not shifted");
  return create(RouteStateSchema, draftRoute(route, state));
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await sleep(50);
  }
}

describe("the manifests on Istio's own discovery and a real Envoy", () => {
  let pods: Record<string, Pod>;
  let mesh: Mesh;
  let client: GatewayClient;
  // Connections that are kept alive stay with the listener they came in by, so
  // after a change of its filters a client that begins anew shows what is there.
  const seenAnew = async (
    seen: (answer: Answer) => boolean,
    what: string,
    headers: Record<string, string> = acme,
  ) => {
    await until(async () => {
      client?.close();
      client = gatewayClient(mesh.gateway);
      return models(headers).then(seen, () => false);
    }, what);
  };
  const users = Array.from({ length: 1000 }, (_, i) => `user-${i}`);
  const models = (headers: Record<string, string>) => client.get("/v1/models", headers);
  const podsOf = async () => {
    const answers = await Promise.all(users.map((user) => models({ ...acme, "x-user-id": user })));
    return answers.map(({ headers }) => String(headers["x-pod"]));
  };
  const share = (answers: readonly string[], pod: string) =>
    answers.filter((each) => each === pod).length / answers.length;
  let state = stateOf("canary");

  beforeAll(async () => {
    pods = Object.fromEntries(
      await Promise.all(
        ["v1", "v2", "v3"].map(
          async (version) => [version, await startPod(version, "127.0.0.1", 0)] as const,
        ),
      ),
    );
    mesh = await startMesh(
      "llm",
      "inference",
      Object.fromEntries(Object.entries(pods).map(([version, { port }]) => [version, port])),
    );
    await mesh.apply(render(state));
    await seenAnew(({ headers }) => "x-seen-x-weir-variant" in headers, "the filter's answer");
  }, 900_000);
  afterAll(async () => {
    client.close();
    await mesh.stop();
    for (const pod of Object.values(pods)) await pod.close();
  });

  it("split the users by weight, each staying where they are", async () => {
    const before = await podsOf();
    expect(share(before, "v2")).toBeGreaterThan(0.07);
    expect(share(before, "v2")).toBeLessThan(0.13);
    expect(await podsOf()).toEqual(before);
  });

  it("keep control headers to Weir", async () => {
    const { headers } = await models({
      ...acme,
      "x-user-id": "user-1",
      "x-weir-variant": "canary",
      "x-weir-tier": "gold",
      "x-shadow-mode": "true",
    });
    expect(headers["x-seen-x-weir-variant"]).toMatch(/^(stable|canary)$/);
    expect(headers["x-seen-x-weir-tier"]).toBeUndefined();
    expect(headers["x-seen-x-shadow-mode"]).toBeUndefined();
  });

  it("limit strangers, with all headers", async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => models({})));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers).toMatchObject({
      "content-type": "application/problem+json",
      "ratelimit-policy": '"requests";q=10;w=2',
    });
    expect(refused?.headers["retry-after"]).toMatch(/^[1-9]\d?$/);
  });

  it("let pages of a named origin read a refusal, and no other page", async () => {
    const open = clone(RouteStateSchema, state);
    if (open.route?.spec)
      open.route.spec.cors = create(CorsSchema, { allowOrigins: ["https://chat.example.org"] });
    await mesh.apply(render(open));
    const from = (origin: string) => ({ ...acme, origin });
    const allowed = ({ headers }: Answer) => headers["access-control-allow-origin"];
    await seenAnew(
      (answer) => allowed(answer) === "https://chat.example.org",
      "the answer to a page",
      from("https://chat.example.org"),
    );
    const refusedTo = async (origin: string) => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => models({ origin })));
      return answers.find(({ status }) => status === 429) as Answer;
    };
    expect(allowed(await refusedTo("https://chat.example.org"))).toBe("https://chat.example.org");
    expect(allowed(await refusedTo("https://evil.example.org"))).toBeUndefined();
    await mesh.apply(render(state));
  });

  it("compress JSON that is asked for compressed, and never an event stream", async () => {
    const ask = (stream: boolean): Promise<Answer> =>
      client.post(
        "/v1/chat/completions",
        { stream, messages: [{ content: "x" }] },
        { ...acme, "accept-encoding": "gzip" },
      );
    for (const { port } of Object.values(pods))
      await fetch(`http://127.0.0.1:${port}/behaviour`, {
        method: "PUT",
        body: JSON.stringify({ tokens: 400, tokenGapMs: 0 }),
      });
    expect((await ask(false)).headers["content-encoding"]).toBe("gzip");
    expect((await ask(true)).headers["content-encoding"]).toBeUndefined();
    expect((await ask(false)).headers["x-seen-accept-encoding"]).toBeUndefined();
  });

  it("follow fifty shifts without a failed request, and move no user back", async () => {
    const failures: unknown[] = [];
    let running = true;
    const load = Array.from({ length: 4 }, async (_, i) => {
      while (running)
        await models({ ...acme, "x-user-id": `load-${i}` }).then(
          ({ status }) => status === 200 || failures.push(status),
          (error) => failures.push(error),
        );
    });
    let before = await podsOf();
    for (let i = 1; i <= 50; i++) {
      state = shifted(state, { canary: 10 + i });
      await mesh.apply(render(state));
      if (i % 25 !== 0) continue;
      await until(
        async () => Math.abs(share(await podsOf(), "v2") - (10 + i) / 100) < 0.05,
        `weight ${10 + i}`,
      );
      const after = await podsOf();
      expect(users.filter((_, user) => before[user] === "v2" && after[user] === "v1")).toEqual([]);
      before = after;
    }
    running = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
  });

  it("answer with 504 where a pod does not begin, ask it once, and cut no stream that has begun", async () => {
    const path = "/v1/chat/completions";
    const served = () =>
      Object.values(pods).reduce((sum, pod) => sum + (pod.served.get(path) ?? 0), 0);
    const behave = async (behaviour: object) => {
      for (const { port } of Object.values(pods))
        await fetch(`http://127.0.0.1:${port}/behaviour`, {
          method: "PUT",
          body: JSON.stringify(behaviour),
        });
    };
    const ask = (body: object) => client.post(path, body, acme);
    const timed = clone(RouteStateSchema, state);
    if (timed.route?.spec)
      timed.route.spec.resilience = create(ResilienceSchema, {
        firstByteTimeout: { seconds: 2n, nanos: 0 },
      });
    await behave({ hangRate: 1 });
    await mesh.apply(render(timed));
    // As long as the time does not hold there, a pod that hangs gives no answer at all.
    let before = 0;
    await until(async () => {
      before = served();
      const late = new Promise<undefined>((done) => setTimeout(done, 10_000));
      return (await Promise.race([ask({}), late]))?.status === 504;
    }, "504");
    expect(served()).toBe(before + 1);
    await behave({ hangRate: 0, tokens: 3, tokenGapMs: 3000 });
    const { body, status } = await ask({ stream: true });
    expect(status).toBe(200);
    expect(body.toString()).toMatch(/data: \[DONE\]\n\n$/);
    expect(served()).toBe(before + 2);
    await behave({ tokens: 16, tokenGapMs: 10 });
    await mesh.apply(render(state));
  });

  it("fall back to plain weights when the filter is not there", async () => {
    const extension = render(state)
      .split("---\n")
      .filter((object) => /^kind: TrafficExtension$/m.test(object))
      .join("---\n");
    await mesh.remove(extension);
    await seenAnew(
      ({ status, headers }) => status === 200 && !("x-seen-x-weir-variant" in headers),
      "the filter gone",
    );
    const answers = await podsOf();
    expect(share(answers, "v2")).toBeGreaterThan(0.5);
    expect(share(answers, "v2")).toBeLessThan(0.7);
    await mesh.apply(extension);
    await seenAnew(({ headers }) => "x-seen-x-weir-variant" in headers, "the filter back");
  });

  it("delete cleanly: nothing answers for the host afterwards", async () => {
    await mesh.remove(render(state));
    await until(async () => (await models(acme)).status === 404, "no route");
  });

  it("mirror tagged requests to the shadow variant, whose answers no one sees", async () => {
    const shadow = stateOf("shadow");
    if (shadow.route?.spec?.shadow)
      Object.assign(shadow.route.spec.shadow, { percent: 100, mode: "mirror" });
    const host = shadow.route?.spec?.hosts[0] ?? "";
    const match = Object.fromEntries(
      (shadow.route?.spec?.shadow?.match ?? []).map(({ exact, header, prefix }) => [
        header,
        String(exact ?? prefix ?? true),
      ]),
    );
    const target =
      shadow.route?.spec?.variants.find(({ name }) => name === shadow.route?.spec?.shadow?.variant)
        ?.labels.version ?? "";
    await mesh.apply(render(shadow));
    const tagged = { ...acme, ...match, host };
    const ask = () => models(tagged);
    await seenAnew(
      ({ status, headers }) => status === 200 && headers["x-seen-x-shadow-mode"] === "true",
      "the shadow route",
      tagged,
    );
    const before = pods[target]?.served.get("/v1/models") ?? 0;
    const answers = await Promise.all(Array.from({ length: 50 }, ask));
    expect(answers.every(({ headers }) => headers["x-pod"] !== target)).toBe(true);
    await until(
      async () => (pods[target]?.served.get("/v1/models") ?? 0) >= before + 50,
      "fifty copies",
    );
  });
});
