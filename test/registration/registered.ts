import { create } from "@bufbuild/protobuf";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import {
  createAddressCheck,
  createRegistry,
  type Registry,
} from "../../control/registration/index.ts";
import { messageWith } from "../route/documents.ts";

/** A route of these variants, which pods register for. */
export function openRoute(weights: Record<string, number> = { stable: 100 }, name = "chat") {
  const route = messageWith(weights);
  if (route.metadata) route.metadata.name = name;
  if (route.spec) route.spec.hosts = [`${name}.example.com`];
  for (const variant of route.spec?.variants ?? []) {
    variant.endpoints = [];
    variant.register = true;
  }
  return route;
}

export const stateOf = (route: ReturnType<typeof openRoute>) =>
  create(RouteStateSchema, { route, etag: "1" });

/** A registry whose clock the test moves. */
export interface World {
  registry: Registry;
  /** Lets time pass as a service does that looks at its leases. */
  pass(ms: number): void;
  /** Stands still for so long, as a machine that is paused. */
  stand(ms: number): void;
  /** How often proxies would have been told. */
  changes(): number;
  log: string[];
  /** Registers a pod. */
  join(address: string, of?: Partial<Joining>): ReturnType<Registry["register"]>;
  /** Addresses of the pods that take requests; undefined: not known. */
  ready(variant?: string): string[] | undefined;
}

interface Joining {
  variant: string;
  instance: string;
  capacity: number;
  leaseMs: number;
  principal: string;
  route: string;
}

/** @param atStart routes that are stored when the service starts */
export function createWorld(atStart = [] as ReturnType<typeof openRoute>[]): World {
  let nowMs = 1_000_000;
  let changes = 0;
  const log: string[] = [];
  const registry = createRegistry({
    checkAddress: createAddressCheck([]),
    monotonicMs: () => nowMs,
    log: (_line, code) => log.push(code),
  });
  registry.onChange(() => changes++);
  registry.follow(atStart.map(stateOf));
  return {
    registry,
    pass(ms) {
      for (let left = ms; left > 0; left -= 250) {
        nowMs += Math.min(left, 250);
        registry.sweep();
      }
    },
    stand(ms) {
      nowMs += ms;
      registry.sweep();
    },
    changes: () => changes,
    log,
    join: (
      address,
      {
        variant = "stable",
        instance = "a",
        capacity = 0,
        leaseMs,
        principal = "pods",
        route = "inference/chat",
      } = {},
    ) => registry.register(route, variant, { address, instance, capacity, leaseMs }, principal),
    ready: (variant = "stable") =>
      registry.ready("inference/chat", variant)?.map(({ address }) => address),
  };
}
