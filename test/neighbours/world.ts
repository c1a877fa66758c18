import type { ApiClients } from "../api/clients.ts";
import type { EtcdCluster } from "../store/etcd-cluster.ts";
import type { RealEnvoy } from "./actors/envoys.ts";
import type { EmulatedFleet } from "./actors/fleet.ts";
import type { Relay } from "./actors/relay.ts";
import type { Walks } from "./actors/walker.ts";
import type { Writing } from "./actors/writing.ts";
import type { createIsolation } from "./invariants/isolation.ts";
import type { Journal } from "./journal.ts";
import type { Planned } from "./plan.ts";
import type { Service } from "./service.ts";

/** Everything that a disturbance may lay hands on. */
export interface World {
  service: Service;
  fleet: EmulatedFleet;
  envoys: readonly RealEnvoy[];
  /** Between the real Envoys and the control service. */
  relay: Relay;
  calls: ApiClients;
  writing: Writing;
  walks: Walks;
  isolation: ReturnType<typeof createIsolation>;
  journal: Journal;
  /** The store, where it is an etcd. */
  etcd?: EtcdCluster;
  /** Prefix of Weir's keys there. */
  prefix: string;
  /** Waits for so long in which the service could have worked, on a slow machine not for ever. */
  pass(ms: number): Promise<void>;
  /** Connections that a disturbance opens besides those of proxies. */
  opened(count: number): void;
  closed(count: number): void;
}

/** Something that is done to the fleet or its control service; it leaves nothing behind. */
export interface Disturbance extends Planned {
  /** Who suffers, and may: everyone else goes on as if nothing were. */
  mayBreak: string;
  /** Only where the store is this one. */
  store?: "etcd";
  act(world: World, random: () => number): Promise<void>;
}
