import type { Fleet } from "./fleet.ts";
import type { SnapshotOf, XdsServer } from "./serve.ts";
import { resourceTypes } from "./types.ts";

/** Why a push was stopped. */
export interface Refusal {
  node: string;
  /** "CDS" ... "ECDS". */
  type: string;
  /** The proxy's own words. */
  message: string;
}

/** Sends snapshots canary-wise: to one proxy, and to all others once that one runs it. */
export interface StagedPush {
  /**
   * Takes the place of a push that is still under way.
   * @param urgent to all at once: what leads back to what ran before
   */
  push(snapshotOf: SnapshotOf, urgent: boolean): void;
  /** Set while the newest snapshot is kept from all proxies but the one that refused it. */
  refused(): Refusal | undefined;
  close(): void;
}

export interface StagedPushOptions {
  /** A proxy that says nothing for this long is passed over, and the next one is first. */
  silentMs: number;
  /** The first proxy refused; the others keep what they have. */
  onRefusal(refusal: Refusal): void;
  /** A first proxy was passed over. */
  onSilence(node: string): void;
}

interface Trial {
  snapshotOf: SnapshotOf;
  node: string;
  /** Proxies that were first and said nothing. */
  passedOver: Set<string>;
  timer: NodeJS.Timeout;
}

export function createStagedPush(
  xds: XdsServer,
  fleet: Fleet,
  { silentMs, onRefusal, onSilence }: StagedPushOptions,
): StagedPush {
  let trial: Trial | undefined;
  let refused: Refusal | undefined;
  const stopListening = fleet.onChange(look);

  function end(): void {
    if (trial) clearTimeout(trial.timer);
    trial = undefined;
  }

  function begin(snapshotOf: SnapshotOf, passedOver: Set<string>): void {
    // What one proxy refused before is not tried on the next one.
    const known = refusalOf(fleet, snapshotOf);
    if (known) {
      refused = known;
      onRefusal(known);
      return;
    }
    const node = firstOf(fleet, xds.current(), passedOver);
    if (node === undefined) {
      xds.publish(snapshotOf);
      return;
    }
    const timer = setTimeout(() => {
      trial = undefined;
      onSilence(node);
      begin(snapshotOf, passedOver.add(node));
    }, silentMs);
    timer.unref();
    trial = { snapshotOf, node, passedOver, timer };
    xds.publish(snapshotOf, node);
    // It may run it already: then nothing is sent, and no answer comes.
    look();
  }

  /** Something in the fleet changed: perhaps the first proxy answered, or went away. */
  function look(): void {
    if (trial === undefined) return;
    const { snapshotOf, node, passedOver } = trial;
    if (!fleet.isConnected(node)) {
      end();
      begin(snapshotOf, passedOver.add(node));
      return;
    }
    const snapshot = snapshotOf(fleet.scope(node));
    const answers = resourceTypes.map(({ name }) => ({
      type: name,
      ...fleet.answer(node, name, snapshot[name].version),
    }));
    const no = answers.find(({ state }) => state === "refused");
    if (no) {
      end();
      refused = { node, type: no.type, message: no.message };
      onRefusal(refused);
    } else if (answers.every(({ state }) => state === "runs" || state === "unasked")) {
      end();
      xds.publish(snapshotOf);
    }
  }

  return {
    push(snapshotOf, urgent) {
      end();
      refused = undefined;
      if (urgent || xds.current() === undefined) xds.publish(snapshotOf);
      else begin(snapshotOf, new Set());
    },
    refused: () => refused,
    close() {
      end();
      stopListening();
    },
  };
}

/** A connected proxy that refused a part of the snapshot at any time, if there is one. */
function refusalOf(fleet: Fleet, snapshotOf: SnapshotOf): Refusal | undefined {
  let found: Refusal | undefined;
  fleet.first((node) => {
    const snapshot = snapshotOf(fleet.scope(node));
    for (const { name: type } of resourceTypes) {
      const { state, message } = fleet.answer(node, type, snapshot[type].version);
      if (state === "refused") found = { node, type, message };
    }
    return found !== undefined;
  });
  return found;
}

/** A proxy that runs what is published now: what it says about the next is not about something older. */
function firstOf(
  fleet: Fleet,
  current: SnapshotOf | undefined,
  passedOver: ReadonlySet<string>,
): string | undefined {
  if (current === undefined) return undefined;
  return fleet.first((node) => {
    if (passedOver.has(node)) return false;
    const snapshot = current(fleet.scope(node));
    return resourceTypes.every(({ name }) => {
      const { state } = fleet.answer(node, name, snapshot[name].version);
      return state === "runs" || state === "unasked";
    });
  });
}
