import { setTimeout as sleep } from "node:timers/promises";
import type { Machines } from "../faults/machines.ts";
import type { EtcdCluster } from "../store/etcd-cluster.ts";
import type { Replica } from "./replica.ts";

/** What happens to one of three machines, of which each has a replica and a member of etcd. */
export type Disturbance = (machine: number) => Promise<void>;

/**
 * Everything that is done to machines, by name; each leaves them as they were.
 * @param longestMs that a pause or a cut lasts
 */
export function disturbances(
  machines: Machines,
  etcd: EtcdCluster,
  replicas: readonly Replica[],
  random: () => number,
  longestMs: number,
): Record<string, Disturbance> {
  const replica = (machine: number) => replicas[machine] as Replica;
  const aWhile = () => sleep(1_000 + random() * (longestMs - 1_000));
  return {
    "replica killed": async (machine) => {
      await replica(machine).kill();
      await sleep(random() * 2_000);
      await replica(machine).start();
    },
    "replica ended": async (machine) => {
      await replica(machine).terminate();
      await replica(machine).start();
    },
    "replica paused": async (machine) => {
      replica(machine).pause();
      await aWhile();
      replica(machine).resume();
    },
    "member of etcd killed": async (machine) => {
      await etcd.kill(machine);
      await sleep(random() * 2_000);
      await etcd.start(machine);
    },
    "member of etcd paused": async (machine) => {
      etcd.pause(machine);
      await aWhile();
      etcd.resume(machine);
    },
    "machine cut off from the others": async (machine) => {
      machines.cut(machine, "others");
      await aWhile();
      machines.mend(machine, "others");
    },
    "machine cut off from all": async (machine) => {
      machines.cut(machine, "others");
      machines.cut(machine, "here");
      await aWhile();
      machines.mend(machine, "here");
      machines.mend(machine, "others");
    },
    "machine killed": async (machine) => {
      await Promise.all([etcd.kill(machine), replica(machine).kill()]);
      await sleep(random() * 2_000);
      await etcd.start(machine);
      await replica(machine).start();
    },
  };
}

/** All names in an order by chance, again and again. */
export function* shuffled<T>(all: readonly T[], random: () => number): Generator<T, never> {
  for (;;) {
    const left = [...all];
    while (left.length > 0) yield left.splice(Math.floor(random() * left.length), 1)[0] as T;
  }
}
