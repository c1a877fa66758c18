import { describe, expect, it } from "vitest";
import { requestHeaders } from "./module.ts";
import { value, worker } from "./policies.ts";

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
