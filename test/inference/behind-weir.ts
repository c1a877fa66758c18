import { type Gateway, startGateway } from "../e2e/gateway.ts";
import { type GatewayClient, gatewayClient } from "../e2e/gateway-client.ts";

/** A gateway with Weir's filters before real inference servers. */
export interface BehindWeir extends Gateway {
  client: GatewayClient;
}

export async function startBehindWeir(): Promise<BehindWeir> {
  const gateway = await startGateway({ podMetrics: true });
  const client = gatewayClient(gateway.url, 64);
  return {
    ...gateway,
    client,
    async stop() {
      client.close();
      await gateway.stop();
    },
  };
}

// With a budget, usage is asked for where the client did not.
const plenty = { requestsPerSecond: 50_000, tokensPerMinute: 1_000_000_000 };

/** The host of a route by its name. */
export const hostOf = (name: string) => `${name}.example.com`;

/**
 * A route to real servers: streams are measured, and no limit is reached that a test does not ask for.
 * @param variants their endpoints, by name; all weight is the first one's
 */
export function inferenceRoute(
  name: string,
  variants: Record<string, string>,
  more: object = {},
): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "inference" },
    spec: {
      hosts: [hostOf(name)],
      server: "llama.cpp",
      variants: Object.entries(variants).map(([variant, endpoint], i) => ({
        name: variant,
        weight: i === 0 ? 100 : 0,
        endpoints: [endpoint],
      })),
      canary: { stickyBy: [{ header: "x-user-id" }] },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { gold: plenty, bronze: plenty },
        tenants: { acme: "gold" },
        default: "bronze",
      },
      tokens: { measure: true },
      ...more,
    },
  };
}
