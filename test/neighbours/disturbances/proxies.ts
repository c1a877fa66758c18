import { setTimeout as sleep } from "node:timers/promises";
import type { Manners } from "../actors/proxy.ts";
import { quiet, rude } from "../namespaces.ts";
import type { Disturbance, World } from "../world.ts";

const pick = <T>(from: readonly T[], random: () => number) =>
  from[Math.floor(random() * from.length)] as T;
const own = "the proxy itself, and what it refuses in its own namespace";
/** Longer than a healthy proxy may wait for the newest state, so that it is seen when one does. */
const heldMs = 8_000;
let newcomers = 0;

/** Some proxies of a rude team with these manners, for a while. */
async function guests(
  { fleet, pass }: World,
  random: () => number,
  manners: (i: number) => Manners,
  { count = 3, forMs = heldMs } = {},
): Promise<void> {
  const namespace = pick(rude, random);
  const there = Array.from({ length: count }, (_, i) =>
    fleet.start(`${namespace}-guest-${newcomers++}`, [namespace], {
      protocol: random() < 0.5 ? "sotw" : "delta",
      againMs: 500,
      ...manners(i),
    }),
  );
  await pass(forMs);
  for (const proxy of there) fleet.remove(proxy);
}

const no = { refusal: "this proxy takes nothing" };

/** Proxies that do not do what they should. */
export const proxyDisturbances: Disturbance[] = [
  {
    name: "refuses-all",
    mayBreak: own,
    lastsMs: heldMs,
    act: (world, random) => guests(world, random, () => ({ judge: () => no })),
  },
  {
    name: "refuses-at-random",
    mayBreak: own,
    lastsMs: heldMs,
    act: (world, random) =>
      guests(world, random, () => ({
        judge: () => (random() < 0.3 ? { refusal: "not this time" } : "ack"),
      })),
  },
  {
    name: "refuses-a-type",
    mayBreak: own,
    lastsMs: heldMs,
    act(world, random) {
      const refused = pick(["CDS", "LDS", "RDS", "ECDS"], random);
      return guests(world, random, () => ({
        judge: (type) => (type === refused ? { refusal: `too old for ${type}` } : "ack"),
      }));
    },
  },
  {
    name: "refuses-content",
    mayBreak: own,
    lastsMs: heldMs,
    act: (world, random) =>
      guests(world, random, () => ({
        judge: (_, prints) =>
          /canary:\d*[13579]\b/.test([...(prints?.values() ?? [])].join())
            ? { refusal: "odd buckets" }
            : "ack",
      })),
  },
  {
    name: "falls-silent",
    mayBreak: own,
    lastsMs: heldMs,
    act(world, random) {
      const sinceMs = performance.now();
      return guests(world, random, () => ({
        judge: () => (performance.now() - sinceMs > 1_500 ? undefined : "ack"),
      }));
    },
  },
  {
    name: "never-answers",
    mayBreak: own,
    lastsMs: heldMs,
    act: (world, random) => guests(world, random, () => ({ judge: () => undefined }), { count: 5 }),
  },
  {
    name: "comes-with-versions",
    mayBreak: own,
    lastsMs: 4_000,
    act: (world, random) =>
      guests(
        world,
        random,
        () => ({
          claims: {
            CDS: "0123456789abcdef",
            LDS: "never there",
            RDS: "x".repeat(1_000),
            ECDS: "0",
          },
        }),
        { forMs: 4_000 },
      ),
  },
  {
    name: "storm",
    mayBreak: "nothing",
    lastsMs: 5_000,
    async act({ fleet }, random) {
      const nomads = Array.from({ length: 40 }, () => {
        const namespace = pick([...quiet, ...rude], random);
        return fleet.start(`${namespace}-nomad-${newcomers++}`, [namespace], {
          protocol: random() < 0.5 ? "sotw" : "delta",
          againMs: 50,
        });
      });
      for (let wave = 0; wave < 6; wave++) {
        await sleep(700);
        for (const proxy of nomads) if (random() < 0.8) proxy?.cut();
      }
      for (const proxy of nomads) fleet.remove(proxy);
    },
  },
  {
    name: "one-node-twice",
    mayBreak: own,
    lastsMs: 5_000,
    async act({ fleet }, random) {
      const namespace = pick(rude, random);
      const node = `${namespace}-twins-${newcomers++}`;
      const twins = (["sotw", "delta", "sotw"] as const).map((protocol, i) =>
        fleet.start(node, [namespace], {
          protocol,
          againMs: 300,
          judge: () => (i === 0 || random() < 0.5 ? "ack" : { refusal: "not in this version" }),
        }),
      );
      await sleep(2_000);
      twins[0]?.cut();
      await sleep(3_000);
      for (const proxy of twins) fleet.remove(proxy);
    },
  },
  {
    name: "speaks-for-another",
    mayBreak: "the proxy itself, which is refused",
    lastsMs: 3_000,
    async act({ fleet }, random) {
      const namespace = pick(rude, random);
      const liars = quiet.map((other) =>
        fleet.start(`${other}-0`, [namespace], { againMs: 300, judge: () => no }),
      );
      await sleep(3_000);
      for (const proxy of liars) fleet.remove(proxy);
    },
  },
  {
    name: "reads-slowly",
    mayBreak: "the proxy itself",
    lastsMs: 6_000,
    async act({ fleet }, random) {
      const namespace = pick(rude, random);
      const slow = Array.from({ length: 5 }, () =>
        fleet.start(`${namespace}-slow-${newcomers++}`, [namespace], { againMs: 300 }),
      );
      for (let i = 0; i < 15; i++) {
        for (const proxy of slow) proxy?.wire().stream.pause();
        await sleep(380);
        for (const proxy of slow) proxy?.wire().stream.resume();
        await sleep(20);
      }
      for (const proxy of slow) fleet.remove(proxy);
    },
  },
  {
    name: "stops-reading",
    mayBreak: "the proxy itself",
    lastsMs: 6_000,
    async act({ fleet }, random) {
      const namespace = pick(rude, random);
      const stuck = Array.from({ length: 10 }, () =>
        fleet.start(`${namespace}-stuck-${newcomers++}`, [namespace], {}),
      );
      await sleep(500);
      // Nothing is taken out of the stream any more, so its window fills.
      for (const proxy of stuck) proxy?.wire().stream.pause();
      await sleep(5_500);
      for (const proxy of stuck) fleet.remove(proxy);
    },
  },
];
