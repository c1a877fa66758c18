import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { namespaces } from "../namespaces.ts";
import type { Disturbance, World } from "../world.ts";

const restartMs = 8_000;

/** Waits for the middle of a rollout, for a while: it is no matter when none comes. */
async function inRollout({ walks }: World): Promise<void> {
  for (let i = 0; i < 60 && !walks.isWalking(); i++) await sleep(50);
}

async function restart({ service }: World, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  await service.end(signal);
  await service.start();
}

/** What happens to the control service, its machine, its store and the real Envoys. */
export const machineDisturbances: Disturbance[] = [
  {
    name: "sigterm",
    mayBreak: "calls that are under way",
    alone: true,
    lastsMs: restartMs,
    act: (world) => restart(world, "SIGTERM"),
  },
  {
    name: "kill",
    mayBreak: "calls that are under way",
    alone: true,
    lastsMs: restartMs,
    act: (world) => restart(world, "SIGKILL"),
  },
  {
    name: "sigterm-in-shift",
    mayBreak: "calls that are under way",
    alone: true,
    lastsMs: restartMs,
    async act(world, random) {
      const { calls, writing } = world;
      const shifts = namespaces.map((namespace) => {
        const name = `${namespace}/chat`;
        const weights = { canary: 1 + Math.floor(random() * 9_800) / 100 };
        return writing.write(name, "shift at the end", (reason) =>
          calls.routes.shiftWeights({ name, weights, reason }),
        );
      });
      await sleep(random() * 20);
      await restart(world, "SIGTERM");
      await Promise.all(shifts);
    },
  },
  {
    name: "kill-in-rollout",
    mayBreak: "calls that are under way",
    alone: true,
    lastsMs: restartMs,
    async act(world) {
      await inRollout(world);
      await restart(world, "SIGKILL");
    },
  },
  {
    name: "clock-jumps",
    mayBreak: "times that are shown",
    lastsMs: 6_000,
    async act({ service }) {
      for (const offset of ["+1d", "-1d", "+0"]) {
        service.setClock(offset);
        await sleep(2_000);
      }
    },
  },
  {
    name: "envoy-restarts",
    mayBreak: "connections to that Envoy",
    alone: true,
    lastsMs: 8_000,
    async act(world, random) {
      await inRollout(world);
      const [one, other] = random() < 0.5 ? world.envoys : [...world.envoys].reverse();
      // Whoever takes one away looks first whether the other can stand in for it.
      await other?.serves();
      await one?.restart();
    },
  },
  {
    name: "all-vanish",
    mayBreak: "proofs while no one is there",
    alone: true,
    lastsMs: 8_000,
    async act(world) {
      await inRollout(world);
      const { fleet, relay } = world;
      relay.cut();
      fleet.keepAway(true);
      await sleep(3_000);
      fleet.keepAway(false);
      relay.mend();
      await sleep(1_000);
    },
  },
  {
    name: "etcd-away",
    mayBreak: "writes while it is away",
    store: "etcd",
    alone: true,
    lastsMs: 6_000,
    async act({ etcd }, random) {
      if (random() < 0.5) {
        etcd?.pause(0);
        await sleep(2_000);
        etcd?.resume(0);
      } else {
        await etcd?.kill(0);
        await sleep(500);
        await etcd?.start(0);
      }
      await sleep(1_000);
    },
  },
  {
    name: "hostile-etcd",
    mayBreak: "keys that are not Weir's own",
    store: "etcd",
    lastsMs: 6_000,
    async act(world, random) {
      const { etcd, prefix } = world;
      const put = (key: string, value: string) => etcd?.ctl(["put", `${prefix}/${key}`, value]);
      const keys = [
        `routes/rude-c/forged`,
        `routes/no-such-shape`,
        `routes/rude-c/${"deep/".repeat(20)}x`,
        `rollouts/rude-c/forged`,
        `audit/not-a-number`,
        `history/rude-c/chat/zzz`,
        `unknown/key`,
      ];
      for (const key of keys) {
        put(key, random() < 0.5 ? randomBytes(200).toString("hex") : "x".repeat(100_000));
        await sleep(300);
      }
      await sleep(1_000);
      for (const key of keys) {
        etcd?.ctl(["del", `${prefix}/${key}`]);
        await sleep(100);
      }
    },
  },
];
