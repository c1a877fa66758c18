import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Headers } from "../../host/header-map.ts";
import { manyRoutes } from "../many-routes.ts";
import { fullConfig, requestHeaders } from "../module.ts";
import { type Counter, createCounter } from "./instruction-counter.ts";

const second = 1_000_000_000;
const gold = {
  "x-tenant-id": "acme",
  "x-user-id": "ada",
  "accept-encoding": "gzip",
  accept: "*/*",
};
const many = Object.fromEntries(Array.from({ length: 28 }, (_, i) => [`x-header-${i}`, "value"]));

/** What is asked, how far apart in time, and the share of it that is refused. */
const cases: Record<string, { headers: Headers; stepNs: number; refused: number }> = {
  "all four decisions, 12 headers": {
    headers: requestHeaders(gold),
    stepNs: second / 100,
    refused: 0,
  },
  "all four decisions, 40 headers": {
    headers: requestHeaders({ ...gold, ...many }),
    stepNs: second / 100,
    refused: 0,
  },
  "a refusal": {
    headers: requestHeaders({ "x-tenant-id": "banned" }),
    stepNs: second / 100,
    refused: 1,
  },
  "a host without a route": {
    headers: requestHeaders({ ...gold, ":authority": "other.example.com" }),
    stepNs: second / 100,
    refused: 0,
  },
};
/** The most instructions of each; lower them when the filters get faster. */
const max = JSON.parse(readFileSync("test/vectors/instructions.json", "utf8")) as Record<
  string,
  number
>;

describe("weir.wasm's instructions per request", () => {
  let counter: Counter;
  beforeAll(() => {
    counter = createCounter(fullConfig());
  });
  afterAll(() => counter.remove());

  it.each(Object.entries(cases))("%s", (name, { headers, stepNs, refused }) => {
    const counted = counter.perRequest(headers, stepNs);
    console.log(`${name}: ${counted.instructions} instructions`);
    expect(counted.refused).toBe(refused);
    expect(counted.instructions).toBeGreaterThan(0);
    expect(counted.instructions).toBeLessThanOrEqual(max[name] ?? 0);
  });
  it("are the same each time", () => {
    const headers = requestHeaders(gold);
    expect(counter.perRequest(headers, second)).toEqual(counter.perRequest(headers, second));
  });

  // Eight times the routes, eight times the work: a list that is walked for each of them shows.
  it("of a configuration grow with its routes and no faster", () => {
    const few = counter.perConfiguration(manyRoutes(250));
    const many = counter.perConfiguration(manyRoutes(2000));
    console.log(`2,000 routes: ${many.first / 2000} instructions per route`);
    expect(many.first / few.first).toBeLessThanOrEqual(8.5);
    expect(many.again / few.again).toBeLessThanOrEqual(8.5);
    for (const each of [many.first, many.again])
      expect(each / 2000).toBeLessThanOrEqual(max["a route of a configuration"] ?? 0);
    // The revision; all else is defined when it is first counted.
    expect(many.defined).toBe(1);
  }, 120_000);
});
