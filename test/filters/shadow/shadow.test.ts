import { describe, expect, it } from "vitest";
import { configuredProxy, requestHeaders } from "../module.ts";
import { value, worker } from "../policies.ts";

describe("bodies over the cap", () => {
  const shadow = worker("shadow", (route) => {
    route.shadow = { percent: 100, tag: "t", maxBodyBytes: 1000 };
  });
  const tagged = (headers: Record<string, string | string[]>, body = true) =>
    value(shadow.request(requestHeaders(headers), { body }).headers, "x-shadow-mode") === "true";
  it.each<[string, Record<string, string | string[]>, boolean]>([
    ["none", { "content-length": "0" }, true],
    ["of the cap", { "content-length": "1000" }, true],
    ["of one byte more", { "content-length": "1001" }, false],
    ["of 2^64 bytes", { "content-length": "18446744073709551617" }, false],
    ["of unknown length", { "transfer-encoding": "chunked" }, false],
    ["of two lengths", { "content-length": ["10", "2000"] }, false],
    ["of a length that is no number", { "content-length": "1e2" }, false],
    ["of a negative length", { "content-length": "-1" }, false],
    ["of an empty length", { "content-length": "" }, true],
  ])("%s", (_name, headers, expected) => {
    expect(tagged(headers)).toBe(expected);
  });
  it("do not matter where there is no body", () => {
    expect(tagged({}, false)).toBe(true);
  });
  it("do not matter where there is no cap", () => {
    const free = worker("shadow", (route) => {
      route.shadow = { percent: 100, tag: "t" };
    });
    const { headers } = free.request(requestHeaders({ "content-length": "1000000000" }), {
      body: true,
    });
    expect(value(headers, "x-traffic-tag")).toBe("t");
  });
});

describe("baggage", () => {
  const carried = (headers: Record<string, string | string[]>, percent = 100) => {
    const full = worker("weir-full", (route) => {
      route.shadow = { percent, tag: "next", baggage: true };
    });
    return value(full.request(requestHeaders(headers)).headers, "baggage");
  };
  it.each<[string, Record<string, string | string[]>, string]>([
    ["is made where there is none", {}, "weir.shadow=next"],
    [
      "keeps what others put there",
      { baggage: "user=1;p=2, b=3" },
      "user=1;p=2, b=3,weir.shadow=next",
    ],
    ["keeps all lines", { baggage: ["a=1", "b=2"] }, "a=1,b=2,weir.shadow=next"],
    ["takes the client's own word out", { baggage: "weir.shadow=old,a=1" }, "a=1,weir.shadow=next"],
    ["takes it out with spaces", { baggage: " weir.shadow = old , a=1" }, " a=1,weir.shadow=next"],
    ["knows a longer key", { baggage: "weir.shadowy=1" }, "weir.shadowy=1,weir.shadow=next"],
  ])("%s", (_name, headers, expected) => {
    expect(carried(headers)).toBe(expected);
  });
  it.each<[string, Record<string, string | string[]>, string]>([
    ["says nothing of a request that is none", {}, ""],
    ["leaves others'", { baggage: "a=1" }, "a=1"],
    ["drops a client's claim", { baggage: "weir.shadow=x" }, ""],
    ["drops a client's claim among others", { baggage: ["a=1", "weir.shadow;x,b=2"] }, "a=1,b=2"],
  ])("%s", (_name, headers, expected) => {
    expect(carried(headers, 0)).toBe(expected);
  });
});

describe("on arrival at the shadow's own pods", () => {
  const arrived = (headers: Record<string, string | string[]>, baggage = false) => {
    const config = {
      revision: "r",
      routes: [{ name: "n/chat", hosts: ["*"], shadow: { arrival: true, tag: "next", baggage } }],
    };
    const { workers } = configuredProxy("weir-full", config);
    const after = workers[0]?.request(requestHeaders(headers)).headers ?? [];
    const names = [
      "x-shadow-mode",
      "x-traffic-tag",
      "x-weir-tier",
      "x-weir-tenant",
      "x-weir-variant",
    ];
    return [...names, "baggage"]
      .map((name) => value(after, name))
      .join(" ")
      .trim();
  };
  it("is stamped what Istio mirrored without a mark, whatever its host", () => {
    for (const host of [
      "chat.example.com",
      "chat.example.com-shadow",
      "chat-shadow:8000",
      "10.0.0.1",
    ])
      expect(arrived({ ":authority": host })).toBe("true next shadow");
  });
  it("keeps the tag it was sent off with, and belongs to no tenant", () => {
    const sent = {
      "x-shadow-mode": "true",
      "x-traffic-tag": "load-test",
      "x-weir-variant": "stable",
    };
    expect(arrived({ ...sent, "x-weir-tenant": "acme", "x-weir-tier": "gold" })).toBe(
      "true load-test shadow  stable",
    );
  });
  it("is told to services behind", () => {
    expect(arrived({ baggage: "a=1" }, true)).toBe("true next shadow   a=1,weir.shadow=next");
  });
  it("writes nothing that is there already", () => {
    const config = {
      revision: "r",
      routes: [{ name: "n/chat", hosts: ["*"], shadow: { arrival: true, tag: "next" } }],
    };
    const { workers } = configuredProxy("weir-full", config);
    const sent = { "x-shadow-mode": "true", "x-traffic-tag": "next", "x-weir-tier": "shadow" };
    expect(workers[0]?.request(requestHeaders(sent)).calls).toEqual(["proxy_get_header_map_pairs"]);
  });
});

describe("diverted requests", () => {
  const full = worker("weir-full", (route) => {
    route.shadow = { ...route.shadow, percent: 100, divert: true };
    route.rateLimit.tiers.test = { requestsPerSecond: 3, burst: 3 };
    route.rateLimit.tenants[",shadow"] = "test";
  });
  const acme = { "x-tenant-id": "acme" };
  it("charge no tenant, and have a limit of their own", () => {
    const statuses = Array.from(
      { length: 6 },
      () => full.request(requestHeaders({ ...acme, "x-team": "search" })).reply?.status ?? 200,
    );
    expect(statuses).toEqual([200, 200, 200, 429, 429, 429]);
    // The tenant's own requests go on.
    const own = full.request(requestHeaders(acme));
    expect(own.reply).toBeUndefined();
    expect(value(own.headers, "x-weir-tenant")).toBe("acme");
  });
  it("are no tenant that a client could name", () => {
    for (const name of [",shadow", "shadow", " ,shadow"])
      expect(
        value(full.request(requestHeaders({ "x-tenant-id": name })).headers, "x-weir-tier"),
      ).toBe("bronze");
  });
});
