import type { Violated } from "./violation.ts";

/** What the service holds at one moment. */
export interface Holding {
  rssMiB: number;
  descriptors: number;
  storeBytes: number;
  auditEntries: number;
}

/** What people did until then, which is all that may make it hold more. */
export interface Done {
  /** Writes that were sent, acknowledged or not. */
  writes: number;
  /** Steps and ends that the rollouts they started may take. */
  rolloutSteps: number;
  /** Writes that a refusing proxy may have had taken back. */
  mayBeTakenBack: number;
  /** Connections that are open now: proxies, watchers, whoever drips bytes. */
  connections: number;
}

/** Garbage that a collector leaves for later, and sockets' buffers in a storm. */
const floatingMiB = 256;
/** A write leaves an audit entry of some kilobytes on disk, none of it in memory. */
const keptMiBPerWrite = 0.004;
/** Two states of a route with everything around them, and pages that are half full. */
const storeBytesPerEntry = 32 << 10;
const emptyStoreBytes = 4 << 20;
const ownDescriptors = 150;

/** The most that may be held after what was done. */
export function limitsOf(start: Holding, done: Done): Holding {
  const entries = done.writes + done.rolloutSteps + done.mayBeTakenBack;
  return {
    rssMiB: start.rssMiB + floatingMiB + entries * keptMiBPerWrite,
    descriptors: ownDescriptors + done.connections,
    storeBytes: emptyStoreBytes + entries * storeBytesPerEntry,
    auditEntries: entries,
  };
}

/** A collector comes by within so many samples: what is there all the while is held. */
export const heldSamples = 40;

/** Memory, descriptors, store and audit are bounded by what people did. */
export function createBounds(violated: Violated) {
  let start: Holding | undefined;
  let rssMiB: number[] = [];
  return {
    sample(sampled: Holding, done: Done): void {
      start ??= sampled;
      rssMiB = [...rssMiB, sampled.rssMiB].slice(-heldSamples);
      const held = rssMiB.length < heldSamples ? start.rssMiB : Math.min(...rssMiB);
      const holding = { ...sampled, rssMiB: held };
      const limits = limitsOf(start, done);
      for (const key of Object.keys(limits) as (keyof Holding)[])
        if (holding[key] > limits[key])
          violated({
            invariant: "bounds",
            who: key,
            what: `${Math.round(holding[key])} after ${JSON.stringify(done)}, at most ${Math.round(limits[key])} are explained by that`,
          });
    },
  };
}
