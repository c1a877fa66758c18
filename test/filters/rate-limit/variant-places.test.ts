import { describe, expect, it } from "vitest";
import type { OpenStream, Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";

const second = 1_000_000_000n;

/** A tenant that may choose its variants has so many places, of which one variant takes a part. */
function limited({ own = 10, route, percent }: Record<string, number | undefined> = {}) {
  const config = fullConfig();
  const { rateLimit } = config.routes[0];
  Object.assign(rateLimit.tiers.gold, {
    requestsPerSecond: 1_000_000,
    burst: 1_000_000,
    concurrent: own,
  });
  if (route !== undefined) rateLimit.concurrent = route;
  if (percent !== undefined) rateLimit.variantPercent = percent;
  return config;
}

const proxyOf = (config: object, workers = 1) => configuredProxy("weir-full", config, workers);
const admitted = ({ action }: OpenStream) => action === 0;
const to = (variant: string) => requestHeaders({ "x-tenant-id": "internal", "x-variant": variant });
const many = (count: number, open: () => OpenStream) => Array.from({ length: count }, open);
const countOf = (streams: OpenStream[]) => streams.filter(admitted).length;

function gauges({ shared }: ReturnType<typeof proxyOf>): [string, bigint][] {
  return [...shared.metrics.values()]
    .filter(({ name }) => name.endsWith("in_flight"))
    .map(({ name, value }) => [name, value]);
}

describe("a tenant's places by variant", () => {
  it("are all of a variant's that is used alone", () => {
    const worker = proxyOf(limited()).workers[0] as Worker;
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(10);
  });

  it("are all of it, too, while another worker is about to count one more at any moment", () => {
    for (let call = 0; call < 40; call++) {
      const [one, two] = proxyOf(limited(), 2).workers as [Worker, Worker];
      const between: OpenStream[] = [];
      const open = many(10, () => {
        let left = call;
        one.setFault(() => {
          if (left-- === 0) between.push(two.open(to("canary")));
          return undefined;
        });
        return one.open(to("canary"));
      });
      one.setFault(undefined);
      const rest = many(10, () => two.open(to("canary")));
      expect(countOf([...open, ...between, ...rest]), `at call ${call}`).toBe(10);
      for (const stream of [...open, ...between, ...rest]) if (admitted(stream)) stream.end();
      expect(countOf(many(20, () => one.open(to("canary"))))).toBe(10);
    }
  });

  it("leave half to the others where several are used, though one of them hangs", () => {
    const worker = proxyOf(limited()).workers[0] as Worker;
    worker.open(to("stable")).end();
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(5);
    const healthy = many(5, () => worker.open(to("stable")));
    expect(countOf(healthy)).toBe(5);
    expect(admitted(worker.open(to("stable")))).toBe(false);
    for (let round = 0; round < 100; round++) {
      healthy.shift()?.end();
      expect(admitted(worker.open(to("canary"))), `round ${round}`).toBe(false);
      healthy.push(worker.open(to("stable")));
      expect(countOf(healthy), `round ${round}`).toBe(5);
    }
  });

  it("leave them over all workers, as long as the others have requests in flight", () => {
    const { workers } = proxyOf(limited(), 2);
    const [one, two] = workers as [Worker, Worker];
    const healthy = two.open(to("stable"));
    expect(countOf(many(20, () => one.open(to("canary"))))).toBe(5);
    expect(countOf(many(20, () => two.open(to("stable"))))).toBe(4);
    expect(admitted(healthy)).toBe(true);
  });

  it("leave them for a minute after another worker's use of the others, too", () => {
    const { shared, workers } = proxyOf(limited(), 2);
    const [one, two] = workers as [Worker, Worker];
    two.open(to("stable")).end();
    const hung = many(20, () => one.open(to("canary")));
    expect(countOf(hung)).toBe(5);
    shared.nowNs += 58n * second;
    expect(admitted(one.open(to("canary")))).toBe(false);
    shared.nowNs += 4n * second;
    expect(countOf(many(20, () => one.open(to("canary"))))).toBe(5);
  });

  it("are as many as the variant's weight says where that is more", () => {
    const worker = proxyOf(limited()).workers[0] as Worker;
    worker.open(to("canary")).end();
    expect(countOf(many(20, () => worker.open(to("stable"))))).toBe(9);
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(1);
  });

  it.each([
    [30, 10, 3],
    [25, 10, 3],
    [1, 10, 1],
    [20, 2, 1],
    [100, 10, 10],
  ])(
    "are %i percent of them where the policy says so: of %i so many as %i",
    (percent, own, part) => {
      const worker = proxyOf(limited({ own, percent })).workers[0] as Worker;
      worker.open(to("stable")).end();
      expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(part);
    },
  );

  it("are all of them again a minute after the others were used last", () => {
    const { shared, workers } = proxyOf(limited());
    const worker = workers[0] as Worker;
    worker.open(to("stable")).end();
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(5);
    shared.nowNs += 59n * second;
    expect(admitted(worker.open(to("canary")))).toBe(false);
    shared.nowNs += 2n * second;
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(5);
  });

  it("come free with their streams, and no count stays behind", () => {
    const proxy = proxyOf(limited({ route: 12 }), 2);
    const open = many(40, () =>
      (proxy.workers[Math.random() < 0.5 ? 0 : 1] as Worker).open(
        to(Math.random() < 0.5 ? "canary" : "stable"),
      ),
    );
    for (const stream of open) stream.end();
    const left = gauges(proxy);
    expect(left.map(([name]) => name)).toContain(
      "route=.=inference/chat;.;tenant=.=internal;.;variant=.=canary;.;weir_variant_in_flight",
    );
    expect(left.filter(([, value]) => value !== 0n)).toEqual([]);
  });

  it("outlive the configuration that they were taken in", () => {
    const proxy = proxyOf(limited());
    const worker = proxy.workers[0] as Worker;
    worker.open(to("stable")).end();
    const open = many(5, () => worker.open(to("canary")));
    expect(worker.configure(2, JSON.stringify({ ...limited({ own: 12 }), revision: "r2" }))).toBe(
      true,
    );
    worker.remove(1);
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(1);
    for (const stream of open) stream.end();
    expect(countOf(many(20, () => worker.open(to("canary"))))).toBe(5);
  });
});

describe("a route's places by variant", () => {
  it("leave the same to the others, of all tenants together", () => {
    const worker = proxyOf(limited({ own: 100, route: 10 })).workers[0] as Worker;
    worker.open(to("stable")).end();
    const open = many(8, () => worker.open(to("canary")));
    expect(countOf(open)).toBe(5);
    expect(open.at(-1)?.reply).toMatchObject({ status: 503, details: "weir_route_full" });
    expect(Object.fromEntries(open.at(-1)?.reply?.headers ?? [])["ratelimit-policy"]).toBe(
      '"route-concurrent";q=5;qu="concurrent-requests"',
    );
    expect(countOf(many(20, () => worker.open(to("stable"))))).toBe(5);
  });
});

describe("a refusal for a variant's part", () => {
  it("names the part, costs no request and counts as none that was sent on", () => {
    const config = limited();
    config.routes[0].rateLimit.tiers.gold = { requestsPerSecond: 0.001, burst: 20, concurrent: 10 };
    const proxy = proxyOf(config);
    const worker = proxy.workers[0] as Worker;
    worker.open(to("stable")).end();
    const open = many(5, () => worker.open(to("canary")));
    for (let i = 0; i < 50; i++) {
      const { reply } = worker.open(to("canary"));
      expect(reply).toMatchObject({ status: 429, details: "weir_concurrency_limited" });
      expect(Object.fromEntries(reply?.headers ?? [])["ratelimit-policy"]).toBe(
        '"concurrent";q=5;qu="concurrent-requests"',
      );
    }
    for (const stream of open) stream.end();
    // Of the burst of 20 six are gone.
    const rest = many(30, () => {
      const stream = worker.open(to("stable"));
      stream.end();
      return stream;
    });
    expect(countOf(rest)).toBe(14);
    worker.tick(1);
    const total = (name: string) =>
      [...proxy.shared.metrics.values()].find((metric) => metric.name.endsWith(name))?.value;
    expect(total("tier=.=gold;.;weir_rate_limit_admitted_total")).toBe(20n);
    expect(total("tier=.=gold;.;weir_concurrency_refused_total")).toBe(50n);
    expect(total("tenant=.=internal;.;weir_tenant_refused_total")).toBe(66n);
    expect(total("variant=.=canary;.;weir_canary_requests_total")).toBe(5n);
  });

  it("begins no conversation for a request that its tenant had no place for", () => {
    const config = limited({ own: 1 });
    config.routes[0].canary.conversations = { header: "x-session-id", idleSeconds: 600 };
    const proxy = proxyOf(config);
    const worker = proxy.workers[0] as Worker;
    const acme = (talk: string) => requestHeaders({ "x-tenant-id": "acme", "x-session-id": talk });
    worker.open(acme("first"));
    const kept = () => [...proxy.shared.data.keys()].filter((key) => key.startsWith("weir.c"));
    const before = kept().length;
    for (let i = 0; i < 100; i++) expect(admitted(worker.open(acme(`talk-${i}`)))).toBe(false);
    expect(kept()).toHaveLength(before);
  });
});

it("agrees with a simple model over 30,000 streams of three variants", () => {
  const config = limited({ own: 12, percent: 40 });
  const { canary } = config.routes[0];
  canary.variants = ["stable", "canary", "next"];
  const proxy = proxyOf(config);
  const worker = proxy.workers[0] as Worker;
  const part: Record<string, number> = { stable: 11, canary: 5, next: 5 };
  const names = Object.keys(part);
  const held: Record<string, number> = { stable: 0, canary: 0, next: 0 };
  const usedAt: Record<string, bigint> = {};
  const othersAt: Record<string, bigint> = {};
  const open: { variant: string; stream: OpenStream }[] = [];
  let seed = 11;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  let refused = 0;
  for (let i = 0; i < 30_000; i++) {
    // Now and then it is quiet for more than a minute, and then one variant is used alone.
    const alone = Math.floor(i / 500) % 3 === 2;
    proxy.shared.nowNs += alone ? second * BigInt(random(9)) : second / 10n;
    if (open.length > 0 && random(5) < 2) {
      const [{ variant, stream }] = open.splice(random(open.length), 1) as [(typeof open)[0]];
      stream.end();
      held[variant] = (held[variant] ?? 0) - 1;
      continue;
    }
    const variant = (alone ? "canary" : names[random(3)]) as string;
    const stream = worker.open(to(variant));
    const now = proxy.shared.nowNs;
    if (open.length >= 12) {
      expect(admitted(stream), `step ${i}`).toBe(false);
      continue;
    }
    usedAt[variant] = now;
    const own = held[variant] ?? 0;
    if (own >= (part[variant] ?? 0) && open.length > own) othersAt[variant] = now;
    const times = names.filter((name) => name !== variant).map((name) => usedAt[name]);
    const last = [...times, othersAt[variant]].filter((time) => time !== undefined);
    const others = last.some((time) => now - time <= 60n * second);
    const room = own < (part[variant] ?? 0) || !others;
    expect(admitted(stream), `step ${i}, ${variant}`).toBe(room);
    if (!room) refused++;
    else {
      held[variant] = own + 1;
      open.push({ variant, stream });
    }
  }
  expect(refused).toBeGreaterThan(1000);
  for (const { stream } of open) stream.end();
  expect(gauges(proxy).filter(([, value]) => value !== 0n)).toEqual([]);
});
