import {
  createAddressCheck,
  createRegistry,
  type Registry,
  sweepMs,
} from "../../registration/index.ts";
import type { ServerOptions } from "./options.ts";
import type { Replicas } from "./replicas.ts";

/** The pods that registered themselves, here and at the other replicas. */
export interface Registrations {
  registry: Registry;
  close(): void;
}

/** Makes the registry, which ends leases and follows the other replicas until it is closed. */
export function openRegistrations(
  { log, endpointRanges = [], monotonicMs = () => performance.now() }: ServerOptions,
  { peers }: Pick<Replicas, "peers">,
): Registrations {
  const registry = createRegistry({
    checkAddress: createAddressCheck(endpointRanges),
    monotonicMs,
    log,
  });
  peers.onPods(registry.take);
  peers.onLost(registry.lost);
  const sweeping = setInterval(registry.sweep, sweepMs);
  return { registry, close: () => clearInterval(sweeping) };
}

/** Changes that come within this time are sent to the proxies together. */
const gatherMs = 50;
/** Pods that come and go without end take one part in so many of the service's time. */
const restParts = 10;

/** Calls back once for all changes of the pods within a moment. @returns what ends it */
export function onPodsChanged({ onChange }: Registry, work: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let tookMs = 0;
  onChange(() => {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        const startedMs = performance.now();
        work();
        tookMs = performance.now() - startedMs;
      },
      Math.max(gatherMs, restParts * tookMs),
    );
  });
  return () => clearTimeout(timer);
}
