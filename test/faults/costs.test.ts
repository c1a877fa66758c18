import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256Hex } from "../../control/auth/index.ts";
import { comeBack } from "../../control/cli/come-back.ts";
import { InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { costInterceptor, createCosts } from "../../control/service/calls/costs.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer } from "../api/control-server.ts";
import { exampleRoute } from "../route/documents.ts";

describe("what calls take of the one thread", () => {
  /** A clock that work sets on, and that nothing else does. */
  const measuredBy = () => {
    let nowMs = 0;
    const costs = createCosts(() => nowMs);
    const call = (caller: string, tookMs: number) =>
      costs.measured(caller, async (turn) => {
        await turn();
        nowMs += tookMs;
        return "answered";
      });
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { costs, call, pass };
  };
  const refused = (error: unknown) => {
    expect(error).toBeInstanceOf(ConnectError);
    return { code: (error as ConnectError).code, comeBack: (error as ConnectError).metadata };
  };

  it("is 400 ms a second of a caller, and 4 s at once; what is beyond is owed", async () => {
    const { call, pass } = measuredBy();
    for (let i = 0; i < 7; i++) expect(await call("ada", 1000)).toBe("answered");
    const { code, comeBack } = refused(await call("ada", 1).catch((error: unknown) => error));
    expect(code).toBe(Code.ResourceExhausted);
    // 7 s take 17.5 s to earn, of which 6 had passed after the first and 10 are the burst's.
    expect(comeBack.get("retry-after")).toBe("2");
    expect(await call("ole", 1)).toBe("answered");
    pass(2000);
    expect(await call("ada", 1)).toBe("answered");
  });

  it("is charged to who has asked at once, too: each call waits for the one before", async () => {
    const { call } = measuredBy();
    const answers = await Promise.allSettled(Array.from({ length: 50 }, () => call("ada", 500)));
    const served = answers.filter(({ status }) => status === "fulfilled");
    // Each takes 1.25 s to earn, of which half a second has passed by then; 10 are the burst's.
    expect(served.length).toBe(13);
  });

  it("holds no more than 33 calls of one caller in memory", async () => {
    const { costs, call } = measuredBy();
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    let refused = 0;
    const held = Array.from({ length: 40 }, () =>
      costs
        .measured("ada", async (turn) => {
          await turn();
          await gate;
        })
        .catch(() => {
          refused++;
        }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(refused).toBe(7);
    expect(await call("ole", 1)).toBe("answered");
    go();
    await Promise.all(held);
    expect(await call("ada", 1)).toBe("answered");
  });

  it("is not charged for the time that a call waits", async () => {
    const { costs, call, pass } = measuredBy();
    await costs.measured("ada", async (turn) => {
      await turn();
      await costInterceptor(async () => ({}) as never)({} as never);
      await new Promise((resolve) => setImmediate(resolve));
      pass(100_000);
      await new Promise((resolve) => setImmediate(resolve));
    });
    expect(await call("ada", 1)).toBe("answered");
  });

  it("never keeps a caller waiting for a call whose client is gone", async () => {
    const { costs, call } = measuredBy();
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 3; i++)
      await costs.measured("ada", async (turn) => void waiting.push(turn()));
    await Promise.all(waiting);
    expect(await call("ada", 1)).toBe("answered");
  });
});

describe("a caller whose documents are dear", () => {
  let server: ControlServer;
  beforeAll(async () => {
    const access = join(mkdtempSync(join(tmpdir(), "weir-costs-")), "access.yaml");
    const tokens = ["vic", "ole"].map((name) => ({
      name,
      sha256: sha256Hex(`${name}-token`),
      role: "viewer",
    }));
    writeFileSync(access, JSON.stringify({ tokens }));
    server = await startQuietServer({ access });
  });
  afterAll(() => server?.close());

  const ask = async (who: string, method: string, body: string | Buffer, headers = {}) => {
    const { host, port } = server.listen;
    const response = await fetch(`http://${host}:${port}/weir.v1.RouteService/${method}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${who}-token`,
        ...headers,
      },
      body: body as BodyInit,
    });
    return {
      status: response.status,
      comeBack: response.headers.get("retry-after"),
      text: await response.text(),
    };
  };

  function manyTenants(): string {
    const route = exampleRoute();
    const tier = Object.keys(route.spec?.rateLimit?.tiers ?? {})[0] ?? "";
    const names = Array.from({ length: 10_000 }, (_, i) => `tenant-${i}`.padEnd(60, "x"));
    Object.assign(route.spec?.rateLimit ?? {}, {
      tenants: Object.fromEntries(names.map((name) => [name, tier])),
    });
    return JSON.stringify({ route: toJson(InferenceRouteSchema, route) });
  }
  const empties = JSON.stringify({
    route: { spec: { variants: Array.from({ length: 340_000 }, () => ({})) } },
  });
  const noJson = `${empties.slice(0, -3)}!`;

  it.each<[string, string | Buffer, Record<string, string>]>([
    ["ten thousand tenants to plan", manyTenants(), {}],
    ["a mebibyte of empty variants", empties, {}],
    ["the same, compressed", gzipSync(empties), { "content-encoding": "gzip" }],
    ["a mebibyte that is no JSON in the end", noJson, {}],
  ])(
    "is refused until its part is earned, and no one else is: %s",
    async (_what, body, headers) => {
      const answers = new Set<number>();
      let comeBackS = 0;
      // As many at once as the rate of calls lets through, until the first is refused for its cost.
      for (let round = 0; round < 100 && comeBackS === 0; round++) {
        const many = Array.from({ length: 10 }, () => ask("vic", "PlanRoute", body, headers));
        for (const { status, comeBack } of await Promise.all(many)) {
          answers.add(status);
          if (status === 429) comeBackS = Math.max(comeBackS, Number(comeBack));
        }
      }
      expect(comeBackS).toBeGreaterThan(0);
      expect(answers.size).toBe(2);
      expect(await ask("ole", "ListRoutes", "{}")).toMatchObject({ status: 200 });
      await sleep(1000 * comeBackS);
      await expect.poll(() => ask("vic", "ListRoutes", "{}")).toMatchObject({ status: 200 });
    },
  );
});

describe("the command line", () => {
  it("calls again when the service says, and gives up what would take too long", async () => {
    const said: string[] = [];
    const waited: number[] = [];
    const wait = async (ms: number) => void waited.push(ms);
    const refusals = ["2", "1", "40"];
    const next = async () => {
      const seconds = refusals.shift();
      if (seconds === undefined) return "done" as never;
      throw new ConnectError("too much", Code.ResourceExhausted, { "retry-after": seconds });
    };
    const call = comeBack((line) => said.push(line), wait)(next);
    await expect(call({ stream: false } as never)).rejects.toThrow("too much");
    expect(waited).toEqual([2000, 1000]);
    expect(said[0]).toBe("the control service limits requests: retrying in 2 s");
    expect(await call({ stream: false } as never)).toBe("done");
  });
});
