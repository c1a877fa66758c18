import { expect, it } from "vitest";
import { createPublisher } from "../../control/publish/publish.ts";
import { createMemoryStore } from "../../control/store/memory.ts";
import { local } from "../api/control-server.ts";
import { createMemoryXds } from "./memory-xds.ts";

it("scopes whose proxies left are forgotten beyond a number, and one whose proxy stays is not", async () => {
  const memory = createMemoryXds();
  const publisher = createPublisher({
    ...memory,
    store: createMemoryStore(),
    report: () => local(1),
    gateway: local(2),
    code: () => ({ file: "/weir.wasm" }),
    log: () => {},
  });
  await publisher.publish();
  const yes = () => ({});
  const stays = memory.connect("stays", ["stays"], yes);
  for (let i = 0; i < 400; i++) {
    const leave = memory.connect(`proxy-${i}`, [`n${i}`], yes);
    leave();
    if (i % 20 === 0) await publisher.publish();
  }
  await publisher.publish();
  const known = Array.from({ length: 400 }, (_, i) => publisher.published([`n${i}`])).filter(
    (each) => each !== undefined,
  );
  expect(known).toHaveLength(100);
  expect(publisher.published(["n399"])).toBeDefined();
  expect(publisher.published(["stays"])).toBeDefined();
  expect(publisher.published(["*"])).toBeDefined();
  // One that comes back is sent what is stored.
  const before = memory.sends();
  memory.connect("proxy-0", ["n0"], yes);
  await expect.poll(() => memory.sends()).toBeGreaterThan(before);
  stays();
  publisher.close();
});
