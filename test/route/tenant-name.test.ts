import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseRoutes } from "../../control/route/index.ts";
import { exampleDocument } from "./documents.ts";

/** What is said of tenants of these names, where callers are told by these sources. */
function problemsOf(tenants: string | string[], identity: object[]): string[] {
  const document = exampleDocument() as { spec: Record<string, any> };
  const [tier] = Object.keys(document.spec.rateLimit.tiers);
  document.spec.rateLimit.identity = identity;
  for (const tenant of [tenants].flat()) document.spec.rateLimit.tenants[tenant] = tier;
  return parseRoutes(stringify(document)).problems.map(
    ({ code, message }) => `${code}: ${message}`,
  );
}

describe("where the client's address tells the tenant", () => {
  const bySourceIp = [{ header: "x-tenant-id" }, { sourceIp: true }];

  it.each([
    "::1",
    "::",
    "2001:db8::7",
    "10.1.2.3",
    "acme",
    "team/search",
    "dead/beef",
    "fe80::1",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "172.16.0.0/12",
    "203.0.113.128/25",
    "2001:db8::/32",
    "2001:db8:0:fff0::/60",
    "::/0",
    "fc00::/7",
  ])("%s is a name as the proxies see it", (tenant) => {
    expect(problemsOf(tenant, bySourceIp)).toEqual([]);
  });

  it.each([
    ["[::1]", "::1"],
    ["2001:DB8::7", "2001:db8::7"],
    ["2001:0db8:0:0:0:0:0:7", "2001:db8::7"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["::ffff:0a01:0203", "10.1.2.3"],
    ["[::ffff:10.1.2.3]", "10.1.2.3"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3/32", "10.1.2.3"],
    ["::1/128", "::1"],
    ["10.0.0.0/08", "10.0.0.0/8"],
    ["172.20.1.1/12", "172.16.0.0/12"],
    ["203.0.113.200/25", "203.0.113.128/25"],
    ["1.2.3.4/0", "0.0.0.0/0"],
    ["2001:db8::7/32", "2001:db8::/32"],
    ["2001:DB8::/32", "2001:db8::/32"],
    ["[2001:db8::]/32", "2001:db8::/32"],
    ["2001:db8:0:ffff::/60", "2001:db8:0:fff0::/60"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
    ["::ffff:0:0/96", "0.0.0.0/0"],
  ])("%s would never match, and is refused with %s", (tenant, written) => {
    const [problem] = problemsOf(tenant, bySourceIp);
    expect(problem).toContain("bad-tenant");
    expect(problem).toContain(`write it as "${written}"`);
    expect(problemsOf(written, bySourceIp)).toEqual([]);
  });

  it.each([
    ["10.0.0.0/33", "from 0 to 32"],
    ["10.0.0.0/-1", "from 0 to 32"],
    ["10.0.0.0/", "from 0 to 32"],
    ["10.0.0.0/8/8", "from 0 to 32"],
    ["10.0.0.0/255.0.0.0", "from 0 to 32"],
    ["10.0.0.0/1e1", "from 0 to 32"],
    ["2001:db8::/129", "from 0 to 128"],
    ["2001:db8::/x", "from 0 to 128"],
  ])("%s is no range, and is refused with its limit", (tenant, limit) => {
    const [problem] = problemsOf(tenant, bySourceIp);
    expect(problem).toContain(`"${tenant}"`);
    expect(problem).toContain(limit);
  });

  it.each([
    "10.0.0.256",
    "010.1.2.3",
    "10.0/8",
    "1.2.3/24",
    "10.0.0.256/8",
    "2001:db8::1::2",
    "fe80::1%eth0/64",
    "1:2:3/48",
  ])("%s is no address", (tenant) => {
    expect(problemsOf(tenant, bySourceIp)[0]).toMatch(/bad-tenant.*is not an IP address/);
  });

  it("up to 256 addresses and ranges are taken where one is a range", () => {
    const addresses = Array.from({ length: 255 }, (_, i) => `10.0.1.${i}`);
    expect(problemsOf(["10.0.0.0/8", ...addresses], bySourceIp)).toEqual([]);
    expect(problemsOf(["10.0.0.0/8", ...addresses, "::1"], bySourceIp)).toEqual([
      "bad-tenant: tenants have 257 addresses and ranges of them: at most 256 are allowed when one of them is a range",
    ]);
    expect(problemsOf([...addresses, "::1", "::2", "::3"], bySourceIp)).toEqual([]);
  });

  it.each(["[::1]", "10.0.0.0/8", "10.0.0.256"])("%s is any name where it does not", (tenant) => {
    expect(problemsOf(tenant, [{ header: "x-tenant-id" }])).toEqual([]);
  });
});
