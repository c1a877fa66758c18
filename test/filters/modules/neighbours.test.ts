import { describe, expect, it } from "vitest";
import { type Headers, valuesOf } from "../../host/header-map.ts";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";
import { ask, counted, json, reportOf, tokenConfig } from "../token-limit/token-streams.ts";

/** An instance with one route, as rendered alone, for this host. */
function instance(name: string, host: string): Worker {
  const config = fullConfig();
  config.shared = true;
  config.routes[0].hosts = [host];
  config.routes[0].name = `inference/${host.split(".")[0]}`;
  config.routes[0].shadow.percent = 100;
  config.routes[0].shadow.match = [];
  return configuredProxy(name, config).workers[0] as Worker;
}
const pass = (headers: Headers, ...chain: Worker[]) =>
  chain.reduce((now, worker) => worker.request(now).headers, headers);
/** What each filter alone may write. */
const ownHeaders: Record<string, string[]> = {
  canary: ["x-weir-variant"],
  "rate-limit": ["x-weir-tenant", "x-weir-tier"],
  shadow: ["x-shadow-mode", "x-traffic-tag"],
};
const value = (headers: Headers, name: string) => valuesOf(headers, name).join("|");

// Routes rendered one by one give a gateway one instance each.
describe("two instances in one chain, each with its own route", () => {
  const chat = instance("weir", "chat.example.com");
  const other = instance("weir", "other.example.com");
  const asked = requestHeaders({ "x-user-id": "ada", "x-tenant-id": "acme" });
  const alone = pass(asked, chat);

  it.each([
    ["before", [chat, other]],
    ["behind", [other, chat]],
  ])("keep what the one %s the other wrote", (_where, chain) => {
    const headers = pass(asked, ...chain);
    for (const name of ["x-weir-variant", "x-weir-tenant", "x-weir-tier", "x-shadow-mode"]) {
      expect(value(alone, name)).not.toBe("");
      expect(value(headers, name)).toBe(value(alone, name));
    }
  });

  it.each([
    ["before", [chat, other]],
    ["behind", [other, chat]],
  ])("remove a client's claims %s the other", (_where, chain) => {
    const claims = requestHeaders({
      "x-user-id": "ada",
      "x-weir-variant": "admin",
      "x-weir-tier": "gold",
    });
    const headers = pass(claims, ...chain);
    expect(value(headers, "x-weir-variant")).toMatch(/^(stable|canary)$/);
    expect(value(headers, "x-weir-tier")).toBe("bronze");
  });

  it.each(["weir", "canary"])("%s.wasm without any route trusts no one", (name) => {
    const empty = configuredProxy(name, { revision: "none", routes: [] }).workers[0] as Worker;
    const headers = pass(requestHeaders({ "x-weir-variant": "canary" }), empty);
    expect(value(headers, "x-weir-variant")).toBe("");
  });

  it.each(["weir", "canary", "rate-limit", "shadow"])(
    "%s.wasm that is alone on its proxy trusts no one for hosts that it does not know",
    (name) => {
      const config = fullConfig();
      config.routes[0].hosts = ["chat.example.com"];
      const worker = configuredProxy(name, config).workers[0] as Worker;
      const claims = Object.fromEntries(
        Object.values(ownHeaders).flatMap((names) => names.map((header) => [header, "gold"])),
      );
      for (const host of [
        "stranger.example.com",
        "10.96.0.7",
        "[fd00::7]:80",
        "chat.example.comm",
      ]) {
        const headers = pass(requestHeaders({ ...claims, ":authority": host }), worker);
        const kept = Object.keys(claims).filter((header) => value(headers, header) !== "");
        const others = Object.keys(claims).filter((header) => !ownHeaders[name]?.includes(header));
        expect(kept, host).toEqual(name === "weir" ? [] : others);
      }
    },
  );

  it.each(["canary", "rate-limit", "shadow"])("%s.wasm leaves other hosts alone", (name) => {
    const claims = { "x-weir-variant": "canary", "x-weir-tier": "gold", "x-shadow-mode": "true" };
    const headers = pass(requestHeaders(claims), instance(name, "other.example.com"));
    for (const [header, claimed] of Object.entries(claims))
      expect(value(headers, header)).toBe(claimed);
  });
});

// Modules of one proxy share its data, by names that they must not share.
describe("weir-full.wasm and token-limit.wasm in one proxy", () => {
  it("leave each other's memory alone: conversations, and what was measured", () => {
    const shared = createSharedState();
    const start = (name: string, config: object) => {
      const worker = startWorker(compiled(name), shared);
      if (!worker.configure(1, JSON.stringify(config))) throw new Error(`${name} refused`);
      return worker;
    };
    const config = fullConfig();
    const [route] = config.routes;
    delete route.rateLimit;
    route.canary.conversations = { header: "x-session-id", idleSeconds: 3600 };
    const conversationsOf = (worker: Worker) =>
      Array.from({ length: 2000 }, (_, i) => {
        const asked = requestHeaders({ "x-session-id": `c${i}`, "x-user-id": `u${i}` });
        return value(worker.request(asked).headers, "x-weir-variant");
      });
    const measured = start("token-limit", tokenConfig());
    for (const tenant of ["open", "acme", "tiny"]) {
      const exchange = ask(measured, { "x-tenant-id": tenant });
      exchange.responseHeaders(json, true);
      exchange.end();
    }
    const before = counted(reportOf({ shared, workers: [measured] }));
    const began = conversationsOf(start("weir-full", config));
    expect(counted(reportOf({ shared, workers: [measured] }))).toEqual(before);
    // Another worker knows them by the proxy's memory alone, whatever the weights are by now.
    route.canary.buckets = [
      { variant: "stable", count: 1000 },
      { variant: "canary", count: 9000 },
    ];
    expect(conversationsOf(start("weir-full", config))).toEqual(began);
  });
});
