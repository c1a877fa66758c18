import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RequestOptions, Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";

const uriSan = "connection.uri_san_peer_certificate";
const dnsSan = "connection.dns_san_peer_certificate";
const spiffe = "spiffe://cluster.local/ns/search/sa/ranker";

function workerWith(rateLimit: object): Worker {
  const config = fullConfig();
  config.routes[0].canary = undefined;
  config.routes[0].shadow = undefined;
  config.routes[0].rateLimit.tiers.bronze = { requestsPerSecond: 1000 };
  Object.assign(config.routes[0].rateLimit, rateLimit);
  return configuredProxy("weir-full", config).workers[0] as Worker;
}

/** Tier that a caller is found to have; bronze is everyone's. */
function tierOf(
  worker: Worker,
  headers: Record<string, string | string[]> = {},
  options?: RequestOptions,
) {
  const outcome = worker.request(requestHeaders(headers), options);
  return outcome.headers.find(([name]) => name === "x-weir-tier")?.[1];
}

describe("a caller's certificate on the connection", () => {
  const worker = workerWith({
    identity: [{ san: "connection" }, { header: "x-tenant-id" }],
    tenants: { [`san:${spiffe}`]: "gold", "san:ranker.example.com": "gold", acme: "gold" },
  });
  it.each([
    ["its URI names the tenant", { [uriSan]: spiffe }, "gold"],
    ["its DNS name does where it has no URI", { [dnsSan]: "ranker.example.com" }, "gold"],
    [
      "a URI goes before a DNS name",
      { [uriSan]: "spiffe://other", [dnsSan]: "ranker.example.com" },
      "bronze",
    ],
    [
      "another one is a stranger's",
      { [uriSan]: "spiffe://cluster.local/ns/search/sa/other" },
      "bronze",
    ],
  ])("%s", (_name, properties, tier) => {
    expect(tierOf(worker, {}, { properties })).toBe(tier);
  });

  it("goes before the sources behind it", () => {
    const properties = { [uriSan]: "spiffe://other" };
    expect(tierOf(worker, { "x-tenant-id": "acme" }, { properties })).toBe("bronze");
    expect(tierOf(worker, { "x-tenant-id": "acme" })).toBe("gold");
  });

  it("cannot be claimed by a header, neither the tenant's nor x-forwarded-client-cert", () => {
    expect(tierOf(worker, { "x-tenant-id": `san:${spiffe}` })).toBe("bronze");
    expect(tierOf(worker, { "x-forwarded-client-cert": `URI=${spiffe}` })).toBe("bronze");
  });
});

describe("a certificate that the proxy before forwards", () => {
  const worker = workerWith({
    identity: [{ san: "forwarded" }],
    tenants: { [`san:${spiffe}`]: "gold", "san:ranker.example.com": "gold" },
  });
  const { rows } = JSON.parse(readFileSync("test/vectors/forwarded-client-cert.json", "utf8")) as {
    rows: { name: string; value: string | string[]; tier: string }[];
  };
  it.each(rows)("$name", ({ value, tier }) => {
    expect(tierOf(worker, { "x-forwarded-client-cert": value })).toBe(tier);
  });
  it("survives every cut of a long value", () => {
    const value = `By=spiffe://a;Hash=0f;Subject="CN=x,O=\\"y\\"";URI=${spiffe};DNS=b`;
    for (let end = 0; end <= value.length; end++)
      expect(["gold", "bronze"]).toContain(
        tierOf(worker, { "x-forwarded-client-cert": value.slice(0, end) }),
      );
  });
});

describe("a claim of a token that is forwarded as a header", () => {
  const worker = workerWith({
    identity: [{ header: "x-jwt-org" }],
    tenants: { acme: "gold" },
  });
  it("names the tenant, and two that differ name no one", () => {
    expect(tierOf(worker, { "x-jwt-org": "acme" })).toBe("gold");
    expect(tierOf(worker, { "x-jwt-org": ["acme", "other"] })).toBe("bronze");
    expect(tierOf(worker)).toBe("bronze");
  });
});

describe("what inference schedulers go by", () => {
  const claims = {
    "x-llm-d-inference-objective": ["critical", "critical"],
    "x-llm-d-inference-fairness-id": "someone-else",
    "x-gateway-inference-objective": "critical",
    "x-gateway-inference-fairness-id": "someone-else",
  };
  const told = (worker: Worker, headers: Record<string, string | string[]>) =>
    worker
      .request(requestHeaders(headers))
      .headers.filter(([name]) => name.includes("-inference-"))
      .sort();

  it("is set from the tier and the tenant, whatever the client says", () => {
    const worker = workerWith({ forward: { scheduler: true } });
    const expected = [
      ["x-llm-d-inference-fairness-id", "acme"],
      ["x-llm-d-inference-objective", "gold"],
    ];
    expect(told(worker, { "x-tenant-id": "acme" })).toEqual(expected);
    expect(told(worker, { "x-tenant-id": "acme", ...claims })).toEqual(expected);
    expect(told(worker, claims)).toEqual([
      ["x-llm-d-inference-fairness-id", "unknown"],
      ["x-llm-d-inference-objective", "bronze"],
    ]);
  });

  it("is the tier's own objective where it has one", () => {
    const worker = workerWith({
      tiers: { gold: { requestsPerSecond: 9, objective: "interactive" }, bronze: {} },
      tenants: { acme: "gold" },
      forward: { scheduler: true },
    });
    expect(told(worker, { "x-tenant-id": "acme", ...claims })).toContainEqual([
      "x-llm-d-inference-objective",
      "interactive",
    ]);
  });

  it("stays as it came where the route does not ask", () => {
    const worker = workerWith({ concurrent: 5 });
    expect(told(worker, { "x-gateway-inference-objective": "critical" })).toEqual([
      ["x-gateway-inference-objective", "critical"],
    ]);
  });
});
