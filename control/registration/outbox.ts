import type { PeerEndpoint } from "../gen/weir/v1/peer_pb.ts";
import type { Entry } from "./entry.ts";

/** What there is to tell another replica since it was taken last. */
export interface PodOutbox {
  take(): PeerEndpoint[];
  close(): void;
}

/** Collects what happens here for the replicas that follow this one. */
export interface Outboxes {
  tell(entry: Entry): void;
  /** @param all what there is now, which is told first */
  open(all: readonly Entry[], encode: (entry: Entry) => PeerEndpoint): PodOutbox;
}

export function createOutboxes(): Outboxes {
  const open = new Set<Map<string, Entry>>();
  return {
    tell(entry) {
      // Of one address only the newest counts: what is not taken does not grow.
      for (const outbox of open) outbox.set(entry.address, entry);
    },
    open(all, encode) {
      const outbox = new Map(all.map((entry) => [entry.address, entry]));
      open.add(outbox);
      return {
        take() {
          const told = [...outbox.values()].map(encode);
          outbox.clear();
          return told;
        },
        close: () => open.delete(outbox),
      };
    },
  };
}
