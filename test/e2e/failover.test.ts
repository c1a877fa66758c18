import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { freePorts } from "../free-ports.ts";
import { counted } from "./counted.ts";
import { startSilentPod } from "./down-pods.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type Answer, type GatewayClient, gatewayClient } from "./gateway-client.ts";

const path = "/v1/chat/completions";
/** About half of them are the canary's. */
const users = Array.from({ length: 60 }, (_, i) => `user-${i}`);

let stable: Pod;
let gateway: Gateway;
let client: GatewayClient;

beforeAll(async () => {
  stable = await startPod("stable", "127.0.0.1", 0);
  gateway = await startGateway();
  client = gatewayClient(gateway.url, users.length * 2);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  await stable?.close();
});

/** A route whose canary has these pods, if any, and falls back to stable. */
function route(name: string, canary: object, spec: object = {}) {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "inference" },
    spec: {
      hosts: [`${name}.example.com`],
      variants: [
        { name: "stable", weight: 50, endpoints: [`127.0.0.1:${stable.port}`] },
        { name: "canary", weight: 50, fallback: ["stable"], ...canary },
      ],
      canary: { stickyBy: [{ header: "x-user-id" }] },
      tellVariant: true,
      ...spec,
    },
  };
}

const question = (stream: boolean, more: object = {}) => ({
  model: "tiny",
  stream,
  messages: [{ role: "user", content: "hello" }],
  ...more,
});

const ask = (name: string, user: string, stream = false, more: object = {}) =>
  client.post(path, question(stream, more), { host: `${name}.example.com`, "x-user-id": user });

/** Every user asks at once, once for a stream and once for a whole answer. */
const everyone = (name: string) =>
  Promise.all(users.flatMap((user) => [ask(name, user), ask(name, user, true)]));

/** Who was asked for, who ran it, and who is said to have answered. */
const told = ({ body, headers, status }: Answer) => ({
  status,
  asked: headers["x-seen-x-weir-variant"],
  ran: headers["x-pod"],
  said: headers["x-weir-variant"],
  whole: /"finish_reason":\s*"(stop|length)"/.test(body.toString()),
});

/** All of these were answered by stable, once each, those of the canary's users as well. */
function expectStable(answers: Answer[]) {
  const all = answers.map(told);
  expect(all.map(({ asked, ...rest }) => rest)).toEqual(
    all.map(() => ({ status: 200, ran: "stable", said: "stable", whole: true })),
  );
  expect(all.filter(({ asked }) => asked === "canary").length).toBeGreaterThan(30);
}

const ranOn = (pod: Pod) => pod.served.get(path) ?? 0;

/** A count of Envoy's about a cluster. */
async function stat(cluster: string, name: string): Promise<number> {
  const stats = await fetch(`${gateway.admin}/stats?filter=${cluster}.${name}`);
  return Number(new RegExp(`${name}: (\\d+)`).exec(await stats.text())?.[1]);
}

/** Waits until the gateway has seen that the pods of these clusters live. */
async function seenAlive(...clusters: string[]): Promise<void> {
  for (const cluster of clusters)
    await expect
      .poll(() => stat(cluster, "membership_healthy"), { timeout: 10_000 })
      .toBeGreaterThan(0);
}

const own = {
  resilience: {
    retries: { attempts: 1, retryOn: ["gateway-error"], backoff: "0.001s" },
    outlier: { consecutiveErrors: 2, baseEjectionTime: "300s" },
  },
};

describe.each([
  ["by default", "plain", {}],
  ["with retries and outlier detection of its own", "own", own],
])("users of a variant that is down, %s:", (_how, short, spec) => {
  it("a connection is refused, and stable answers from the first request on", async () => {
    const canary = await startPod("canary", "127.0.0.1", 0);
    const name = `refused-${short}`;
    await gateway.apply(route(name, { endpoints: [`127.0.0.1:${canary.port}`] }, spec));
    await seenAlive(`${name}/canary`);
    await canary.close();
    const before = ranOn(stable);
    for (let round = 0; round < 3; round++) expectStable(await everyone(name));
    expect(ranOn(stable)).toBe(before + users.length * 6);
    expect(await stat(`${name}/canary`, "upstream_cx_connect_fail")).toBeGreaterThan(0);
  });

  it("packets are dropped, and stable answers, later requests at once", async () => {
    const [port = 0] = await freePorts(1);
    const silent = await startSilentPod(port);
    try {
      const name = `dropped-${short}`;
      await gateway.apply(route(name, { endpoints: [`127.0.0.1:${port}`] }, spec));
      await seenAlive(`${name}/canary`);
      await silent.fallSilent();
      const before = ranOn(stable);
      expectStable(await everyone(name));
      expect(ranOn(stable)).toBe(before + users.length * 2);
      expect(await stat(`${name}/canary`, "upstream_cx_connect_timeout")).toBeGreaterThan(0);
      await expect
        .poll(() => stat(`${name}/canary`, "health_check.healthy"), { timeout: 30_000 })
        .toBe(0);
      const tried = await stat(`${name}/canary`, "upstream_cx_total");
      for (let round = 0; round < 3; round++) expectStable(await everyone(name));
      expect(await stat(`${name}/canary`, "upstream_cx_total")).toBe(tried);
    } finally {
      await silent.close();
    }
  });

  it("it has no endpoints, and stable answers from the first request on", async () => {
    const name = `empty-${short}`;
    await gateway.apply(route(name, {}, spec));
    const before = ranOn(stable);
    expectStable(await everyone(name));
    expect(ranOn(stable)).toBe(before + users.length * 2);
  });
});

describe("a variant that fails over", () => {
  it("has its users back when its pod lives again", async () => {
    const [port = 0] = await freePorts(1);
    await gateway.apply(route("back", { endpoints: [`127.0.0.1:${port}`] }));
    expectStable(await everyone("back"));
    const canary = await startPod("canary", "127.0.0.1", port);
    try {
      const away = async () => {
        const answers = (await everyone("back")).map(told);
        expect(answers.filter(({ status, whole }) => status !== 200 || !whole)).toEqual([]);
        return answers.filter(({ asked, ran, said }) => asked !== ran || said !== ran);
      };
      await expect.poll(away, { timeout: 45_000, interval: 200 }).toEqual([]);
    } finally {
      await canary.close();
    }
  });

  it("keeps its users while one of its pods lives", async () => {
    const [port = 0] = await freePorts(1);
    const canary = await startPod("canary", "127.0.0.1", 0);
    const endpoints = [port, canary.port].map((each) => `127.0.0.1:${each}`);
    const outlier = { consecutiveLocalFailures: 1, baseEjectionTime: "300s" };
    await gateway.apply(route("half", { endpoints }, { resilience: { outlier } }));
    try {
      const away = async () => {
        const answers = (await everyone("half")).map(told);
        expect(answers.filter(({ status, whole }) => status !== 200 || !whole)).toEqual([]);
        return answers.filter(({ asked, ran }) => asked !== ran);
      };
      await expect.poll(away, { timeout: 30_000 }).toEqual([]);
    } finally {
      await canary.close();
    }
  });

  it.each([
    ["before its answer begins", "silent", { firstTokenMs: 60_000 }],
    ["in the midst of a stream", "streaming", { firstTokenMs: 0, tokenGapMs: 60_000 }],
  ])("runs nothing again that a pod was at when it was killed, %s", async (_when, name, slow) => {
    const [port = 0] = await freePorts(1);
    const canary = await startPod("canary", "127.0.0.1", port, slow);
    await gateway.apply(route(name, { endpoints: [`127.0.0.1:${port}`] }));
    await seenAlive(`${name}/canary`);
    const before = ranOn(stable);
    const stream = name === "streaming";
    const asked = users.map((user) => ask(name, user, stream).then(told, () => undefined));
    const ran = () => ranOn(canary) + ranOn(stable) - before;
    await expect.poll(ran, { timeout: 10_000 }).toBe(users.length);
    const begun = ranOn(canary);
    await canary.close();
    const seen = await Promise.all(asked);
    const lost = seen.filter((each) => each?.status !== 200);
    expect(lost).toHaveLength(begun);
    expect(begun).toBeGreaterThan(15);
    expect(ranOn(stable)).toBe(before + users.length - begun);
  });

  it("leaves a pod that takes requests and does not answer them, where answers have a time limit", async () => {
    const canary = await startPod("canary", "127.0.0.1", 0, { hangRate: 1 });
    const resilience = { firstByteTimeout: "0.5s" };
    await gateway.apply(
      route("hangs", { endpoints: [`127.0.0.1:${canary.port}`] }, { resilience }),
    );
    await seenAlive("hangs/canary");
    try {
      const late = async () =>
        (await everyone("hangs")).filter(({ status }) => status === 504).length;
      expect(await late()).toBeGreaterThan(15);
      await expect.poll(late, { timeout: 30_000 }).toBe(0);
    } finally {
      await canary.close();
    }
  });

  it("leaves it also where its users come one after another", async () => {
    const canary = await startPod("canary", "127.0.0.1", 0, { hangRate: 1 });
    const resilience = { firstByteTimeout: "0.2s" };
    await gateway.apply(
      route("alone", { endpoints: [`127.0.0.1:${canary.port}`] }, { resilience }),
    );
    await seenAlive("alone/canary");
    try {
      const statuses: number[] = [];
      for (const user of [...users, ...users].slice(0, 40))
        statuses.push((await ask("alone", user, false)).status);
      // Each of the two workers counts on its own; the pods of the others answer all along.
      expect(statuses.filter((status) => status === 504).length).toBeLessThanOrEqual(6);
      expect(statuses.slice(-10)).toEqual(Array(10).fill(200));
    } finally {
      await canary.close();
    }
  });

  it("sends long requests on as well", async () => {
    const [port = 0] = await freePorts(1);
    const silent = await startSilentPod(port);
    try {
      await gateway.apply(route("long", { endpoints: [`127.0.0.1:${port}`] }));
      await seenAlive("long/canary");
      await silent.fallSilent();
      const image = { image: "x".repeat(3 << 20) };
      const answers = await Promise.all(
        users.slice(0, 8).map((user) => ask("long", user, false, image)),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    } finally {
      await silent.close();
    }
  });
});

describe("fallbackEndpoints", () => {
  it.each([
    ["by themselves", "reserve", {}],
    [
      "with hashed pods",
      "hashed",
      { balance: { policy: "consistent-hash", hash: { header: "x-user-id" } } },
    ],
  ])("take over from the first request on, %s", async (_how, name, resilience) => {
    const own = await startPod("stable", "127.0.0.1", 0);
    const reserve = await startPod("reserve", "127.0.0.1", 0);
    const document = route(name, {}, { resilience });
    document.spec.variants = [
      {
        name: "stable",
        weight: 100,
        endpoints: [`127.0.0.1:${own.port}`],
        fallbackEndpoints: [`127.0.0.1:${reserve.port}`],
      } as never,
    ];
    await gateway.apply(document);
    await seenAlive(`${name}/stable`);
    await own.close();
    try {
      const answers = (await everyone(name)).map(told);
      expect(
        answers.filter(
          ({ ran, said, status }) => status !== 200 || ran !== "reserve" || said !== "stable",
        ),
      ).toEqual([]);
      expect(ranOn(reserve)).toBe(users.length * 2);
    } finally {
      await reserve.close();
    }
  });
});

it("tries the fallbacks in their order", async () => {
  const canary = await startPod("canary", "127.0.0.1", 0);
  const [port = 0] = await freePorts(1);
  const first = await startPod("next", "127.0.0.1", port);
  const document = route("order", {
    endpoints: [`127.0.0.1:${canary.port}`],
    fallback: ["next", "stable"],
  });
  const next = { name: "next", weight: 0, endpoints: [`127.0.0.1:${port}`] };
  document.spec.variants.push(next as never);
  await gateway.apply(document);
  await seenAlive("order/canary", "order/next");
  await canary.close();
  await first.close();
  expectStable(await everyone("order"));
  const again = await startPod("next", "127.0.0.1", port);
  try {
    const notOfNext = async () => {
      const seen = (await everyone("order")).map(told).filter(({ asked }) => asked === "canary");
      return seen.filter(
        ({ ran, said, status }) => status !== 200 || ran !== "next" || said !== "next",
      );
    };
    await expect.poll(notOfNext, { timeout: 45_000, interval: 200 }).toEqual([]);
  } finally {
    await again.close();
  }
});

it("needs no filter that chooses variants", async () => {
  const canary = await startPod("canary", "127.0.0.1", 0);
  const endpoints = [`127.0.0.1:${canary.port}`];
  await gateway.apply(route("drawn", { endpoints }, { canary: undefined }));
  await seenAlive("drawn/canary");
  await canary.close();
  const answers = (await everyone("drawn")).map(told);
  expect(answers.filter(({ said, status }) => status !== 200 || said !== "stable")).toEqual([]);
});

it("reaches pods that speak HTTP/2 alone", async () => {
  const [port = 0] = await freePorts(1);
  const server = createServer((_, res) => res.end("two"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const document = route(
    "two",
    { endpoints: [`127.0.0.1:${port}`] },
    { resilience: { connections: { http2: true } } },
  );
  const { port: live } = server.address() as AddressInfo;
  document.spec.variants[0] = { name: "stable", weight: 50, endpoints: [`127.0.0.1:${live}`] };
  try {
    await gateway.apply(document);
    const answers = await everyone("two");
    expect(answers.filter(({ body, status }) => status !== 200 || `${body}` !== "two")).toEqual([]);
  } finally {
    server.close();
  }
});

it("counts as no success of the variant that is down, and its streams as the other's", async () => {
  const [port = 0] = await freePorts(1);
  await gateway.apply(
    route("measured", { endpoints: [`127.0.0.1:${port}`] }, { tokens: { measure: true } }),
  );
  // Connections from before have the filters of then.
  client.close();
  client = gatewayClient(gateway.url, users.length * 2);
  const answers = (await everyone("measured")).map(told);
  expectStable(await everyone("measured"));
  const asked = 2 * answers.filter((each) => each.asked === "canary").length;
  const of = 'route="inference/measured"';
  const responses = (variant: string, status: string) =>
    counted(gateway.server, "weir_responses_total", of, `variant="${variant}"`, status);
  const reported = { timeout: 15_000, interval: 200 };
  await expect.poll(() => responses("canary", 'status_class="fallback"'), reported).toBe(asked);
  const own = users.length * 4 - asked;
  await expect.poll(() => responses("stable", 'status_class="2xx"'), reported).toBe(own);
  expect(await responses("canary", 'status_class="2xx"')).toBe(0);
  const streams = (variant: string) =>
    counted(gateway.server, "weir_streams_total", of, `variant="${variant}"`);
  expect(await streams("stable")).toBe(users.length * 2);
  expect(await streams("canary")).toBe(0);
});

it("is what its example says", async () => {
  const [port = 0] = await freePorts(1);
  const document = parse(readFileSync("examples/failover/route.yaml", "utf8"));
  document.spec.variants[0].endpoints = [`127.0.0.1:${stable.port}`];
  document.spec.variants[1].endpoints = [`127.0.0.1:${port}`];
  await gateway.apply(document);
  const answers = (await everyone("assistant")).map(told);
  expect(answers.filter(({ asked }) => asked === "canary").length).toBeGreaterThan(0);
  expect(answers.filter(({ said, status }) => status !== 200 || said !== "stable")).toEqual([]);
});
