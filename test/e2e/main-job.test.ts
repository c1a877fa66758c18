import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

// The example, with a rate for acme that no test here reaches.
function routeFile(directory: string): string {
  const route = parse(readFileSync("examples/canary/route.yaml", "utf8"));
  route.spec.rateLimit.tiers.gold = { requestsPerSecond: 50_000, burst: 50_000 };
  route.spec.rateLimit.tenants.busy = "busy";
  route.spec.rateLimit.tiers.busy = { requestsPerSecond: 40, burst: 40 };
  const file = join(directory, "route.yaml");
  writeFileSync(file, stringify(route));
  return file;
}

let up: WeirUp;
let client: GatewayClient;
const acme = { "x-tenant-id": "acme" };

beforeAll(async () => {
  up = await weirUp(["--route", routeFile("/tmp")]);
  client = gatewayClient(up.gateway);
});
afterAll(async () => {
  client.close();
  await up.stop();
});

/** Variant of each user, asked of the gateway. */
async function variantsOf(users: readonly string[]): Promise<Map<string, string>> {
  const answers = await Promise.all(
    users.map((user) => client.get("/v1/models", { ...acme, "x-user-id": user })),
  );
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  return new Map(users.map((user, i) => [user, String(answers[i]?.headers["x-pod"])]));
}
const users = Array.from({ length: 2000 }, (_, i) => `user-${i}`);
const share = (variants: Map<string, string>, name: string) =>
  [...variants.values()].filter((variant) => variant === name).length / variants.size;

describe("a completion through Envoy", () => {
  it("comes back whole", async () => {
    const { status, headers, body } = await client.post(
      "/v1/chat/completions",
      { messages: [{ content: "hello" }] },
      acme,
    );
    expect(status).toBe(200);
    expect(headers["x-pod"]).toMatch(/stable|canary/);
    expect(JSON.parse(body.toString()).usage.completion_tokens).toBe(16);
  });

  it("streams each event as it is made, uncompressed though gzip is welcome", async () => {
    const request = {
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ content: "hello" }],
    };
    const { headers, body, chunkMs } = await client.post("/v1/chat/completions", request, {
      ...acme,
      "accept-encoding": "gzip",
    });
    expect(headers["content-type"]).toBe("text/event-stream");
    expect(headers["content-encoding"]).toBeUndefined();
    const events = body.toString().trim().split("\n\n");
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(JSON.parse(events.at(-2)?.slice(6) ?? "").usage.total_tokens).toBe(18);
    // 19 events, made 10 ms apart: were they held back, they would come in one piece.
    expect(chunkMs.length).toBeGreaterThan(10);
  });

  it("is gzipped when that is asked for and worth it", async () => {
    await behave({ tokens: 400 });
    const request = { messages: [{ content: "x" }] };
    const { headers, body } = await client.post("/v1/chat/completions", request, {
      ...acme,
      "accept-encoding": "gzip",
    });
    await behave({ tokens: 16 });
    expect(headers["content-encoding"]).toBe("gzip");
    expect(headers["x-seen-accept-encoding"]).toBeUndefined();
    expect(JSON.parse(gunzipSync(body).toString()).usage.completion_tokens).toBe(400);
  });
});

/** Changes how both pods behave, past the gateway. */
async function behave(behaviour: object): Promise<void> {
  const route = JSON.parse(await up.weir("get", "chat", "-o", "json"));
  for (const { endpoints } of route.spec.variants as { endpoints: string[] }[]) {
    const response = await fetch(`http://${endpoints[0]}/behaviour`, {
      method: "PUT",
      body: JSON.stringify(behaviour),
    });
    expect(response.status).toBe(200);
  }
}

describe("the canary", () => {
  it("gets its share of 2,000 users, and no user flips", async () => {
    const before = await variantsOf(users);
    expect(share(before, "canary")).toBeGreaterThan(0.09);
    expect(share(before, "canary")).toBeLessThan(0.11);
    expect(await variantsOf(users)).toEqual(before);
  });

  it("gets more by a shift that moves exactly whom it must and fails no request in flight", async () => {
    const before = await variantsOf(users);
    let running = true;
    let requests = 0;
    const failures: unknown[] = [];
    const load = Array.from({ length: 4 }, async (_, worker) => {
      while (running) {
        requests++;
        const stream = requests % 5 === 0;
        await client
          .post(
            "/v1/chat/completions",
            { stream, max_tokens: 3, messages: [] },
            // Not the tenant whose users are counted, and below its limit, however long a shift takes.
            { "x-tenant-id": "internal", "x-user-id": `load-${worker}` },
          )
          .then(
            ({ status, body }) => {
              if (status !== 200 || (stream && !body.toString().endsWith("[DONE]\n\n")))
                failures.push(status);
            },
            (error) => failures.push(error),
          );
        await sleep(50);
      }
    });
    const words = await up.weir("shift", "chat", "canary=30", "--wait", "--reason", "test");
    const shifted = requests;
    await expect.poll(() => requests, { timeout: 20_000 }).toBeGreaterThan(shifted + 20);
    running = false;
    await Promise.all(load);
    expect(words).toContain("20 % of the users move from stable to canary");
    expect(words).toContain("applied on 1 of 1");
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(20);

    const after = await variantsOf(users);
    expect(share(after, "canary")).toBeGreaterThan(0.28);
    expect(share(after, "canary")).toBeLessThan(0.32);
    const back = users.filter(
      (user) => before.get(user) === "canary" && after.get(user) !== "canary",
    );
    expect(back).toEqual([]);
    expect(await up.weir("status", "chat")).toContain("applied on 1 of 1");
  });

  it("is forced only by a tenant that the route names", async () => {
    const forced = async (tenant: string) =>
      Promise.all(
        users.slice(0, 30).map((user) =>
          client.get("/v1/models", {
            "x-tenant-id": tenant,
            "x-user-id": user,
            "x-variant": "canary",
          }),
        ),
      );
    expect((await forced("internal")).every(({ headers }) => headers["x-pod"] === "canary")).toBe(
      true,
    );
    expect((await forced("acme")).every(({ headers }) => headers["x-pod"] === "canary")).toBe(
      false,
    );
  });
});

describe("headers that only Weir may set", () => {
  it("have no effect and do not reach the pods when a client sends them", async () => {
    const user =
      [...(await variantsOf(users.slice(0, 50)))].find(
        ([, variant]) => variant === "stable",
      )?.[0] ?? "";
    const { headers } = await client.get("/v1/models", {
      ...acme,
      "x-user-id": user,
      "X-Weir-Variant": ["canary", "canary"],
      "x-weir-tier": "gold",
      "x-weir-tenant": "internal",
      "x-shadow-mode": "true",
      "x-traffic-tag": "mine",
    });
    expect(headers["x-pod"]).toBe("stable");
    expect(headers["x-seen-x-weir-variant"]).toBe("stable");
    for (const name of ["x-weir-tier", "x-weir-tenant", "x-shadow-mode", "x-traffic-tag"])
      expect(headers[`x-seen-${name}`], name).toBeUndefined();
  });
});

describe("the rate limit", () => {
  it("refuses with everything a client needs to come back at the right time", async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => client.get("/v1/models")));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers).toMatchObject({
      "content-type": "application/problem+json",
      "ratelimit-policy": '"requests";q=10;w=2',
      "x-ratelimit-limit-requests": "10",
      "x-ratelimit-remaining-requests": "0",
    });
    expect(Number(refused?.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(refused?.headers.ratelimit).toBe(`"requests";r=0;t=${refused?.headers["retry-after"]}`);
    expect(refused?.headers["x-ratelimit-reset-requests"]).toMatch(/^\d+(ms|\.?\d*s)$/);
    expect(JSON.parse(refused?.body.toString() ?? "")).toMatchObject({
      status: 429,
      code: "rate_limited",
      "violated-policies": ["requests"],
    });
  });

  it("answers gRPC in gRPC's own way", async () => {
    // So many at once that some are refused, however slow the machine is.
    const grpc = { "content-type": "application/grpc" };
    const asked = Array.from({ length: 40 }, () => client.post("/x", {}, grpc));
    const refused = (await Promise.all(asked)).find(({ headers }) => headers["grpc-status"]);
    expect(refused?.status).toBe(200);
    expect(refused?.headers["grpc-status"]).toBe("8");
  });

  it("admits its rate and no more over ten seconds, on two workers", async () => {
    const rate = 40;
    const burst = 40;
    const seconds = 10;
    const end = performance.now() + seconds * 1000;
    let admitted = 0;
    const senders = Array.from({ length: 8 }, async () => {
      while (performance.now() < end) {
        const { status } = await client.get("/v1/models", { "x-tenant-id": "busy" });
        if (status === 200) admitted++;
        await sleep(5);
      }
    });
    await Promise.all(senders);
    const limit = rate * seconds + burst;
    expect(admitted).toBeGreaterThan(limit * 0.98);
    expect(admitted).toBeLessThan(limit * 1.02);
  });
});

describe("the filters' reports", () => {
  it("tell the control service what runs and how many requests went where", async () => {
    await expect
      .poll(() => up.weir("proxies"), { timeout: 10_000 })
      .toMatch(/weir-up +1\.40\.0 +in sync +[0-9a-f]{16} /);
    await expect
      .poll(
        async () => {
          const status = JSON.parse(await up.weir("status", "chat", "-o", "json"));
          return (status.traffic ?? []).map(({ variant }: { variant: string }) => variant).sort();
        },
        { timeout: 10_000 },
      )
      .toEqual(["canary", "stable"]);
  });

  it("are counters with labels in Envoy's own statistics", async () => {
    const stats = await (await fetch(`${up.admin}/stats/prometheus?filter=weir_`)).text();
    expect(stats).toMatch(/weir_canary_requests_total\{.*variant="canary".*\} \d+/);
    expect(stats).toMatch(/weir_rate_limit_refused_total\{.*tier="bronze".*\} \d+/);
    expect(stats).toMatch(/weir_spoofed_headers_total\{.*\} \d+/);
  });
});

describe("what weir up tells to try", () => {
  /** What comes of the command under a comment that begins so. */
  const tried = (comment: string) => {
    const lines = up.output().split("\n");
    const command = lines[lines.findIndex((line) => line.startsWith(`# ${comment}`)) + 1] ?? "";
    expect(command).toContain("curl");
    return execFileSync("bash", ["-c", command], { encoding: "latin1" });
  };

  it.each([
    ["a completion", /^x-pod: (stable|canary)\r$[\s\S]*"finish_reason":"stop"/m],
    ["the same as a stream of events", /^data: \{[\s\S]*^data: \[DONE\]$/m],
    ["a large answer, compressed", /^content-encoding: (gzip|br|zstd)\r$/m],
    ["requests without a known tenant share a small limit", /^200 .*429 /],
  ])("%s: is what happens", (comment, answer) => {
    expect(tried(comment)).toMatch(answer);
  });
});
