import { afterEach, beforeEach, expect, it } from "vitest";
import { resourceTypes } from "../../control/xds/index.ts";
import { sotw, startXds, type TestServer } from "./fake-envoy.ts";
import { snapshotOf } from "./snapshots.ts";

/** Proxies and server share this process; `npm run bench -- xds` has a thousand in their own. */
const count = Number(process.env.WEIR_STREAMS ?? 200);
const names: Record<string, string[]> = {
  EDS: ["inference/chat/stable", "inference/chat/canary"],
  RDS: ["weir"],
  ECDS: ["weir"],
};

let server: TestServer;
beforeEach(async () => {
  server = await startXds();
});
afterEach(() => server.close());

/** Opens all proxies at once and waits until each has all types and has said so. */
async function connectAll() {
  const fromMs = performance.now();
  const proxies = Array.from({ length: count }, () => sotw(server.port));
  await Promise.all(
    proxies.map(async (proxy, i) => {
      const node = { id: `proxy-${i}`, cluster: "weir" };
      for (const { name, url } of resourceTypes)
        proxy.send({ node, typeUrl: url, resourceNames: names[name] ?? [] });
      for (const _ of resourceTypes) {
        const { typeUrl, versionInfo, nonce } = await proxy.next(30_000);
        const { name = "" } = resourceTypes.find(({ url }) => url === typeUrl) ?? {};
        const answer = { versionInfo, responseNonce: nonce };
        proxy.send({ typeUrl, resourceNames: names[name] ?? [], ...answer });
      }
    }),
  );
  return { proxies, tookMs: performance.now() - fromMs };
}

it(`X12: ${count} proxies that come back at once are all served within 5 s, and each is in step`, async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  const first = await connectAll();
  for (const proxy of first.proxies) proxy.close();
  await expect.poll(() => server.fleet.list().filter((each) => each.connected)).toEqual([]);
  server.xds.publish(snapshotOf({ stable: 80, canary: 20 }));
  const { proxies, tookMs } = await connectAll();
  console.log(`${count} proxies, all back after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(5_000);
  await expect
    .poll(() => server.fleet.list().filter((each) => each.connected && each.inSync).length)
    .toBe(count);
  for (const proxy of proxies) proxy.close();
});
