/** Hosts of the benchmark's listeners: the measured one, one that shows effects, one whose streams stay open. */
export const hosts = {
  measured: "chat.example.com",
  shown: "shown.example.com",
  open: "open.example.com",
};

/** All four decisions for the benchmark's requests; tenant acme has a limit that no one reaches. */
export const policies = JSON.stringify({
  revision: "bench",
  routes: [
    {
      name: "inference/chat",
      hosts: Object.values(hosts),
      canary: {
        stickyBy: [{ header: "x-user-id" }],
        salt: "inference/chat",
        variants: ["stable", "canary"],
        buckets: [
          { variant: "stable", count: 9000 },
          { variant: "canary", count: 1000 },
        ],
      },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: {
          gold: { requestsPerSecond: 1000000, burst: 1000000 },
          bronze: { requestsPerSecond: 5, burst: 10 },
        },
        tenants: { acme: "gold" },
        default: "bronze",
      },
      shadow: { percent: 1, tag: "bench", modeHeader: "x-shadow-mode", tagHeader: "x-traffic-tag" },
      compression: { algorithms: ["gzip"], secrets: "never" },
    },
  ],
});
