import type { HandlerContext } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { asPrincipal } from "../../control/api/access.ts";
import type { ApiContext } from "../../control/api/context.ts";
import { createFleetService } from "../../control/api/fleet-service.ts";
import type { Principal } from "../../control/auth/index.ts";
import { createMemoryStore } from "../../control/store/memory.ts";
import { createFleet } from "../../control/xds/index.ts";

const patience = { timeout: 50_000 };
const viewers: Principal[] = ["*", "a", "b"].map((namespace) => ({
  name: `viewer of ${namespace}`,
  grants: [{ role: "viewer", namespaces: [namespace] }],
}));

it("the fleet is made once per change and view, however many watch it", async () => {
  const fleet = createFleet();
  const connect = (node: string, scope: string) =>
    fleet.connected({ id: node, cluster: "", version: "", scope: [scope] });
  connect("edge-a", "a");
  connect("edge-b", "b");
  let built = 0;
  const context = {
    fleet: {
      ...fleet,
      list() {
        built++;
        return fleet.list();
      },
    },
    peers: { proxies: () => [], proxyViews: () => [], onChange: () => () => {} },
    scope: fleet.scope,
    store: createMemoryStore(),
  } as unknown as ApiContext;
  const service = createFleetService(context);
  const stop = new AbortController();
  const seen = Array.from({ length: 1_000 }, () => [] as string[]);
  const watches = seen.map((nodes, i) =>
    asPrincipal(viewers[i % viewers.length] as Principal, async () => {
      const watch = service.watchProxies({} as never, { signal: stop.signal } as HandlerContext);
      for await (const { proxies = [] } of watch)
        nodes.splice(0, nodes.length, ...proxies.map(({ node = "" }) => node));
    }),
  );
  await expect.poll(() => seen.every((nodes) => nodes.length > 0), patience).toBe(true);
  const changes = 10;
  for (let i = 0; i < changes; i++) {
    connect(`more-${i}`, "a");
    await expect
      .poll(() => seen.every((nodes, j) => j % 3 === 2 || nodes.includes(`more-${i}`)), patience)
      .toBe(true);
  }
  // Those of the other namespace were told nothing of it.
  expect(seen[2]).toEqual(["edge-b"]);
  expect(seen[1]).toHaveLength(1 + changes);
  // A slow machine may take more than the second that a view is good for.
  expect(built).toBeLessThanOrEqual(2 * viewers.length * (1 + changes));
  stop.abort();
  await Promise.all(watches);
});
