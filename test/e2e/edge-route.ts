/** A route of one variant with one pod, for what is about the gateway in front of it. */
export function edgeRoute(endpoint: string, spec: object = {}): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      service: { name: "llm", port: 8000 },
      variants: [{ name: "stable", weight: 100, labels: { version: "v1" }, endpoints: [endpoint] }],
      ...spec,
    },
  };
}

/** That with one tenant that it knows, acme, and none for others; pods are told of tenant and tier. */
export function tenantRoute(endpoint: string): object {
  return edgeRoute(endpoint, {
    rateLimit: {
      identity: [{ header: "x-tenant-id" }],
      tiers: {
        gold: { requestsPerSecond: 1000, burst: 1000 },
        none: { requestsPerSecond: 0, burst: 0 },
      },
      tenants: { acme: "gold" },
      default: "none",
      forward: { tenant: true, tier: true },
    },
  });
}
