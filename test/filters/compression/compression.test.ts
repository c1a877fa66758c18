import { describe, expect, it } from "vitest";
import { requestHeaders } from "../module.ts";
import { value, worker } from "../policies.ts";

/** What the filter leaves in accept-encoding, of a client that takes anything. */
function left(
  headers: Record<string, string | string[]>,
  edit: (compression: any) => void,
  module = "compression",
) {
  const filter = worker(module, (route) => {
    delete route.rateLimit;
    edit(route.compression);
  });
  const all = requestHeaders({ "accept-encoding": "gzip, br, zstd", ...headers });
  return value(filter.request(all).headers, "accept-encoding");
}

describe("secrets (BREACH)", () => {
  const cookie = { cookie: "session=1" };
  const basic = { authorization: "Basic YWxhZGRpbjpvcGVu" };
  const sameOrigin = { "sec-fetch-site": "same-origin" };
  it.each<[string, string, Record<string, string | string[]>, string]>([
    ["never", "an API key", { authorization: "Bearer sk-1" }, "zstd"],
    ["never", "an API key under another scheme's case", { authorization: "bEARER sk-1" }, "zstd"],
    ["never", "a cookie", cookie, ""],
    ["never", "a browser's log-in", basic, ""],
    ["never", "Negotiate", { authorization: "Negotiate abc" }, ""],
    ["never", "a cookie, asked for by its own site", { ...cookie, ...sameOrigin }, ""],
    ["same-origin", "a cookie, asked for by its own site", { ...cookie, ...sameOrigin }, "zstd"],
    ["same-origin", "a log-in, asked for by its own site", { ...basic, ...sameOrigin }, "zstd"],
    ["same-origin", "a cookie", cookie, ""],
    ["same-origin", "another site", { ...cookie, "sec-fetch-site": "cross-site" }, ""],
    ["same-origin", "a sister site", { ...cookie, "sec-fetch-site": "same-site" }, ""],
    [
      "same-origin",
      "two words",
      { ...cookie, "sec-fetch-site": ["same-origin", "cross-site"] },
      "",
    ],
    ["same-origin", "no credentials", { "sec-fetch-site": "cross-site" }, "zstd"],
    ["allow", "another site", { ...cookie, "sec-fetch-site": "cross-site" }, "zstd"],
  ])("%s: %s", (secrets, _name, headers, expected) => {
    expect(
      left(headers, (compression) => {
        compression.secrets = secrets;
      }),
    ).toBe(expected);
  });
});

describe("exceptions", () => {
  const exceptions = [
    { match: [{ header: "user-agent", prefix: "old-sdk/1." }], algorithms: ["gzip"] },
    { match: [{ header: "user-agent", prefix: "old-sdk/" }], algorithms: ["br", "gzip"] },
    {
      match: [
        { header: "x-tenant-id", exact: "raw" },
        { header: "x-debug", present: true },
      ],
    },
  ];
  it.each<[string, Record<string, string | string[]>, string]>([
    ["no one else", { "user-agent": "new-sdk/9" }, "zstd"],
    ["the first that fits", { "user-agent": "old-sdk/1.7" }, "gzip"],
    ["the next where the first does not fit", { "user-agent": "old-sdk/2.0" }, "br"],
    [
      "what the client accepts all the same",
      { "user-agent": "old-sdk/1.7", "accept-encoding": "br, zstd" },
      "",
    ],
    ["all of whose matches hold", { "x-tenant-id": "raw", "x-debug": "1" }, ""],
    ["not when one of them does not", { "x-tenant-id": "raw" }, "zstd"],
    [
      "not when one of two values differs",
      { "x-tenant-id": ["raw", "acme"], "x-debug": "1" },
      "zstd",
    ],
  ])("take %s", (_name, headers, expected) => {
    expect(
      left(
        headers,
        (compression) => {
          compression.exceptions = exceptions;
        },
        "weir-full",
      ),
    ).toBe(expected);
  });
});
