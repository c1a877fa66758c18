/** A configuration of that many routes, up to 2,000, with all four decisions on each. */
export function manyRoutes(count: number, prefix = "team"): any {
  return {
    revision: `${prefix}-${count}`,
    routes: Array.from({ length: count }, (_, i) => ({
      name: `${prefix}/route-${i}`,
      hosts: [`${prefix}-${i}.example.com`],
      canary: {
        stickyBy: [{ header: "x-user-id" }],
        buckets: [
          { variant: "stable", count: 9000 },
          { variant: "canary", count: 1000 },
        ],
        variants: ["stable", "canary"],
      },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { paid: { requestsPerSecond: 1000, burst: 1000 }, none: {} },
        tenants: { [`acme-${i}`]: "paid" },
        default: "none",
      },
      shadow: { percent: 5, tag: "shadow" },
      compression: { algorithms: ["gzip"], secrets: "never" },
    })),
  };
}
