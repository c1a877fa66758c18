import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Walks } from "./actors/walker.ts";
import { createBounds, type Holding } from "./invariants/bounds.ts";
import type { Violated } from "./invariants/violation.ts";
import type { Started } from "./start.ts";

export interface SamplingOptions {
  started: Started;
  walks: Walks;
  /** Connections that the suite holds open itself. */
  connections(): number;
  violated: Violated;
}

const sampleMs = 500;
/** Start, three steps, pauses and the end, each once more for a restart in between. */
const writesPerRollout = 20;
/** Asking an etcd for its size holds up the suite, so it is asked seldom. */
const storeEvery = 20;

/** Looks at what the service holds, again and again. */
export function createSampling({ started, walks, connections, violated }: SamplingOptions) {
  const { service, writes, lmdb, etcd } = started;
  const bounds = createBounds(violated);
  const seen = { startMiB: 0, maxMiB: 0, maxDescriptors: 0, storeBytes: 0 };
  let looks = 0;

  function storeBytes(): number {
    if (etcd === undefined)
      return readdirSync(lmdb).reduce((sum, file) => sum + statSync(join(lmdb, file)).size, 0);
    const [status] = JSON.parse(etcd.ctl(["endpoint", "status", "--write-out=json"]));
    return status.Status.dbSize;
  }

  function sample(): void {
    if (!service.isUp()) return;
    try {
      if (looks++ % storeEvery === 0) seen.storeBytes = storeBytes();
      const holding: Holding = {
        rssMiB: service.rssMiB(),
        descriptors: service.descriptors(),
        storeBytes: seen.storeBytes,
        auditEntries: Number(writes.lastSequence()),
      };
      seen.startMiB ||= holding.rssMiB;
      seen.maxMiB = Math.max(seen.maxMiB, holding.rssMiB);
      seen.maxDescriptors = Math.max(seen.maxDescriptors, holding.descriptors);
      bounds.sample(holding, {
        writes: writes.count(),
        rolloutSteps: (walks.started + 1) * writesPerRollout,
        mayBeTakenBack: writes.ofNamespaces("rude"),
        connections: connections(),
      });
    } catch {
      // It, or its etcd, went away while it was looked at.
    }
  }
  const timer = setInterval(sample, sampleMs);
  started.stops.push(() => clearInterval(timer));
  return {
    seen,
    stop() {
      looks = 0;
      sample();
      clearInterval(timer);
    },
  };
}

export type Sampling = ReturnType<typeof createSampling>;
