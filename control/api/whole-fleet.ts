import type { Proxy } from "../gen/weir/v1/service_pb.ts";
import type { ApiContext } from "./context.ts";

/** The proxies of all replicas, each once. */
export function wholeFleet({ fleet, peers }: Pick<ApiContext, "fleet" | "peers">): Proxy[] {
  const own = fleet.list();
  const here = new Set(own.filter(({ connected }) => connected).map(({ node }) => node));
  const others = peers.proxies().filter(({ node }) => !here.has(node));
  // One that went away from here may be connected elsewhere.
  const there = new Set(others.map(({ node }) => node));
  return [...own.filter(({ node }) => !there.has(node)), ...others].sort((a, b) =>
    a.node < b.node ? -1 : 1,
  );
}
