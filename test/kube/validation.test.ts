import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseRoutes } from "../../control/route/index.ts";
import { examples } from "../istio/render-file.ts";
import { exampleDocument } from "../route/documents.ts";
import { type Cluster, startCluster } from "./cluster.ts";

type Spec = Record<string, unknown>;
const forbiddenToo = { forbidden: true, requestsPerSecond: 5 };
/** Specs that are wrong, each in one way, and a word of what the API server must say. */
const wrong: [string, (spec: Spec) => void, RegExp][] = [
  ["weights that do not sum to 100", (s) => weights(s, 90, 11), /weights must sum to exactly 100/],
  ["a weight with three decimals", (s) => weights(s, 99.995, 0.005), /multiple of 0.01/],
  ["a weight below 0", (s) => weights(s, 110, -10), /greater than or equal to 0/],
  ["a variant twice", (s) => variant(s, 1, { name: "stable" }), /uplicate/],
  ["an upper-case host", (s) => set(s, "hosts", ["Chat.example.com"]), /should match/],
  ["no host", (s) => set(s, "hosts", []), /should have at least 1 items/],
  ["a host twice", (s) => set(s, "hosts", ["a.example", "a.example"]), /uplicate/],
  ["an unknown field", (s) => set(s, "hots", []), /spec.hots/],
  ["a port out of range", (s) => set(s, "service", { name: "llm", port: 70000 }), /65535/],
  ["selector and targetRefs", (s) => both(s), /exactly one of selector, targetRefs/],
  ["a default that is no tier", (s) => limit(s, { default: "iron" }), /not one of the tiers/],
  ["a tenant of no tier", (s) => limit(s, { tenants: { acme: "iron" } }), /not one of the tiers/],
  ["a tier of nothing", (s) => tier(s, { burst: 5 }), /requestsPerSecond or forbidden/],
  ["a forbidden tier with a rate", (s) => tier(s, forbiddenToo), /requestsPerSecond or forbidden/],
  ["a key source of two", (s) => sticky(s, { header: "x", apiKey: true }), /exactly one of/],
  ["a key source of none", (s) => sticky(s, {}), /exactly one of/],
  ["a key source weir sets", (s) => sticky(s, { header: "x-weir-tenant" }), /does not set/],
  ["a key source that is off", (s) => sticky(s, { apiKey: false }), /does not set/],
  ["a shadow of an unknown variant", (s) => shadow(s, { variant: "x" }), /not one of the variants/],
  ["a shadow with a weight", (s) => shadow(s, { variant: "canary" }), /weight must be 0/],
  ["retries that are off and meant", (s) => retries(s), /no effect with 0 attempts/],
  ["no service and no endpoints", (s) => nowhere(s), /service is required/],
  ["one variant alone that takes pods", (s) => open(s, 1), /set endpoints or register for all/],
];

describe("the API server, by the CRD alone", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.mustKubectl(["create", "namespace", "inference"]);
  }, 40 * 60_000);
  afterAll(() => cluster?.stop());

  const apply = (text: string) =>
    cluster.kubectl(["apply", "--server-side", "--dry-run=server", "-f", "-"], text);

  test.each(examples)("accepts the example %s", async (name) => {
    const { code, stderr } = await apply(readFileSync(`examples/${name}/route.yaml`, "utf8"));
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  test.each(wrong)("refuses %s, as weir check does", async (_what, spoil, words) => {
    const document = exampleDocument();
    spoil(document.spec);
    const text = stringify(document, { version: "1.1" });
    const { code, stderr } = await apply(text);
    expect(stderr).toMatch(words);
    expect(code).toBe(1);
    expect(parseRoutes(text).problems).not.toEqual([]);
  });

  test("takes variants that pods register for, without a Service", async () => {
    const document = exampleDocument();
    open(document.spec, 2);
    delete (document.spec as Spec).service;
    const { code, stderr } = await apply(JSON.stringify(document));
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  test("takes a tier that is forbidden", async () => {
    const document = exampleDocument();
    tier(document.spec, { forbidden: true });
    expect(parseRoutes(stringify(document)).problems).toEqual([]);
    expect((await apply(stringify(document, { version: "1.1" }))).stderr).toBe("");
  });

  test("takes every weight of two decimals", async () => {
    const documents = [0.01, 0.07, 0.29, 1.1, 8.2, 33.33, 57.01, 99.99].map((weight, index) => {
      const document = exampleDocument();
      weights(document.spec, weight, Math.round((100 - weight) * 100) / 100);
      (document as unknown as { metadata: { name: string } }).metadata.name = `w${index}`;
      return JSON.stringify(document);
    });
    const { code, stderr } = await apply(documents.join("\n---\n"));
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });
});

function set(spec: Spec, field: string, value: unknown): void {
  spec[field] = value;
}
function tier(spec: Spec, gold: object): void {
  const { tiers } = spec.rateLimit as { tiers: Record<string, object> };
  limit(spec, { tiers: { ...tiers, gold } });
}
function variant(spec: Spec, index: number, change: object): void {
  Object.assign((spec.variants as object[])[index] ?? {}, change);
}
function weights(spec: Spec, stable: number, canary: number): void {
  variant(spec, 0, { weight: stable });
  variant(spec, 1, { weight: canary });
}
function both(spec: Spec): void {
  Object.assign(spec.attach as object, { targetRefs: [{ kind: "Gateway", name: "public" }] });
}
function limit(spec: Spec, change: object): void {
  Object.assign(spec.rateLimit as object, change);
}
function nowhere(spec: Spec): void {
  delete spec.service;
  for (const each of spec.variants as { endpoints?: unknown }[]) delete each.endpoints;
}
/** Lets pods register for the first variants, and takes all endpoints away. */
function open(spec: Spec, count: number): void {
  for (const [index, each] of (spec.variants as Record<string, unknown>[]).entries()) {
    delete each.endpoints;
    if (index < count) each.register = true;
  }
}
function sticky(spec: Spec, source: object): void {
  (spec.canary as { stickyBy: object[] }).stickyBy = [source];
}
function shadow(spec: Spec, change: object): void {
  spec.shadow = { percent: 5, tag: "t", ...change };
}
function retries(spec: Spec): void {
  spec.resilience = { retries: { attempts: 0, retryOn: ["5xx"] } };
}
