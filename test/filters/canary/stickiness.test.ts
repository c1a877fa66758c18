import { describe, expect, it } from "vitest";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";
import { value } from "../policies.ts";

/** The route's configuration with `percent` on the canary, and conversations kept. */
function config(percent: number, edit: (canary: any) => void = () => {}): any {
  const document = fullConfig();
  const { canary } = document.routes[0];
  delete document.routes[0].rateLimit;
  canary.conversations = { header: "x-session-id", idleSeconds: 3600 };
  canary.buckets = [
    { variant: "stable", count: 10_000 - percent * 100 },
    { variant: "canary", count: percent * 100 },
  ].filter(({ count }) => count > 0);
  edit(canary);
  return document;
}
const ids = Array.from({ length: 500 }, (_, i) => `conversation-${i}`);
const variantOf = (worker: Worker | undefined, headers: Record<string, string | string[]>) =>
  value(worker?.request(requestHeaders(headers)).headers ?? [], "x-weir-variant");
const variants = (worker: Worker | undefined, names = ids) =>
  names.map((id) => variantOf(worker, { "x-session-id": id }));
const shareOf = (all: string[]) => all.filter((each) => each === "canary").length / all.length;

describe("conversations", () => {
  it("stay where they began over a shift; new ones follow it", () => {
    const { workers } = configuredProxy("weir-full", config(10));
    const before = variants(workers[0]);
    expect(shareOf(before)).toBeGreaterThan(0.05);
    expect(shareOf(before)).toBeLessThan(0.16);
    workers[0]?.configure(2, JSON.stringify(config(60)));
    expect(variants(workers[0])).toEqual(before);
    const fresh = variants(
      workers[0],
      ids.map((id) => `new-${id}`),
    );
    expect(shareOf(fresh)).toBeGreaterThan(0.52);
    expect(shareOf(fresh)).toBeLessThan(0.68);
  });

  it("stay on every worker of the proxy", () => {
    const { workers } = configuredProxy("weir-full", config(10), 2);
    const before = variants(workers[0]);
    for (const worker of workers) worker.configure(2, JSON.stringify(config(60)));
    expect(variants(workers[1])).toEqual(before);
  });

  it("leave a variant whose weight is 0 at once", () => {
    const { workers } = configuredProxy("weir-full", config(60));
    expect(shareOf(variants(workers[0]))).toBeGreaterThan(0.5);
    workers[0]?.configure(2, JSON.stringify(config(0)));
    expect(shareOf(variants(workers[0]))).toBe(0);
  });

  it("end after their pause, and go on as long as someone speaks", () => {
    const { shared, workers } = configuredProxy("weir-full", config(10));
    const before = variants(workers[0]);
    workers[0]?.configure(2, JSON.stringify(config(60)));
    shared.nowNs += 3_000_000_000_000n;
    const spoken = ids.slice(0, 250);
    expect(variants(workers[0], spoken)).toEqual(before.slice(0, 250));
    shared.nowNs += 3_000_000_000_000n;
    expect(variants(workers[0], spoken)).toEqual(before.slice(0, 250));
    expect(shareOf(variants(workers[0], ids.slice(250)))).toBeGreaterThan(0.5);
  });

  it("begin where their user is", () => {
    const { workers } = configuredProxy("weir-full", config(30));
    const users = ids.slice(0, 100);
    const byUser = users.map((user) => variantOf(workers[0], { "x-user-id": user }));
    const byBoth = users.map((user, i) =>
      variantOf(workers[0], { "x-user-id": user, "x-session-id": `s-${i}` }),
    );
    expect(byBoth).toEqual(byUser);
  });

  it("are none when two ids or an empty one are sent", () => {
    const { shared, workers } = configuredProxy("weir-full", config(30));
    for (const id of [["a", "b"], ""])
      variantOf(workers[0], { "x-session-id": id, "x-user-id": "ada" });
    expect([...shared.data.keys()].filter((key) => key.startsWith("weir.c"))).toEqual([]);
  });

  it("ask the proxy's memory once, then not again for a while", () => {
    const { workers } = configuredProxy("weir-full", config(30));
    const headers = requestHeaders({ "x-session-id": "s", "x-tenant-id": "acme" });
    const shared = () =>
      (workers[0]?.request(headers).calls ?? []).filter((call) => call.includes("shared_data"));
    shared();
    expect(Array.from({ length: 20 }, () => shared().length)).toEqual(Array(20).fill(0));
  });

  it("cost no more memory than there is, a million of them", () => {
    const { shared, workers } = configuredProxy("weir-full", config(30));
    variants(workers[0]);
    const before = workers[0]?.memoryBytes();
    for (let i = 0; i < 100_000; i++) variantOf(workers[0], { "x-session-id": `m-${i}` });
    expect(workers[0]?.memoryBytes()).toBe(before);
    const sets = [...shared.data.keys()].filter((key) => key.startsWith("weir.c"));
    expect(sets.length).toBeLessThanOrEqual(4096);
  }, 120_000);

  it.each([2, 8, 10])("follow the buckets when shared data answers %i", (status) => {
    const { workers } = configuredProxy("weir-full", config(30));
    workers[0]?.setFault((call) => (call.includes("shared_data") ? status : undefined));
    const all = variants(workers[0]);
    expect(all.every((each) => each === "stable" || each === "canary")).toBe(true);
    expect(variants(workers[0])).toEqual(all);
  });

  it("survive a clock that goes back", () => {
    const { shared, workers } = configuredProxy("weir-full", config(10));
    const before = variants(workers[0]);
    workers[0]?.configure(2, JSON.stringify(config(60)));
    shared.nowNs -= 3_600_000_000_000n;
    expect(variants(workers[0])).toEqual(before);
  });
});

describe("pins", () => {
  const pinned = config(10, (canary) => {
    canary.pins = { acme: "canary", internal: "stable" };
  });
  const { workers } = configuredProxy("weir-full", pinned);
  it.each<[string, Record<string, string | string[]>, string]>([
    ["their tenant, whatever the user", { "x-tenant-id": "acme", "x-user-id": "user-1" }, "canary"],
    ["no other tenant", { "x-tenant-id": "globex", "x-user-id": "user-1" }, "stable"],
    [
      "no one of two tenants",
      { "x-tenant-id": ["acme", "globex"], "x-user-id": "user-1" },
      "stable",
    ],
    ["not against who may force", { "x-tenant-id": "internal", "x-variant": "canary" }, "canary"],
  ])("hold %s", (_name, headers, expected) => {
    expect(variantOf(workers[0], headers)).toBe(expected);
  });
  it("hold although the variant takes no one else", () => {
    const off = config(0, (canary) => {
      canary.pins = { acme: "canary" };
    });
    expect(variantOf(configuredProxy("weir-full", off).workers[0], { "x-tenant-id": "acme" })).toBe(
      "canary",
    );
  });
  describe("of everyone who is not named", () => {
    const others = config(100, (canary) => {
      canary.pins = { "*": "stable", acme: "*", globex: "canary" };
    });
    const { workers } = configuredProxy("weir-full", others);
    it.each<[string, Record<string, string | string[]>, string]>([
      ["whom no one knows", { "x-tenant-id": "stranger" }, "stable"],
      ["who names no tenant", {}, "stable"],
      ["who names two", { "x-tenant-id": ["acme", "globex"] }, "stable"],
      ["who says to be the star", { "x-tenant-id": "*" }, "stable"],
      ["not who follows the weights by name", { "x-tenant-id": "acme" }, "canary"],
      ["not who has a pin", { "x-tenant-id": "globex" }, "canary"],
    ])("hold %s", (_name, headers, expected) => {
      expect(variantOf(workers[0], headers)).toBe(expected);
    });
  });
  it("are refused by a module that does not know them", () => {
    expect(() => configuredProxy("weir", pinned)).toThrow("unknown field");
  });
});
