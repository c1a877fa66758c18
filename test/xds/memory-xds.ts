import { fromBinary } from "@bufbuild/protobuf";
import { DiscoveryResponseSchema } from "../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { createFleet, type Fleet, type XdsServer } from "../../control/xds/index.ts";
import { createPublished, type Published } from "../../control/xds/published.ts";
import {
  filterName,
  routeConfigName,
  tokenFilterName,
} from "../../control/xds/resources/options.ts";
import type { SnapshotOf } from "../../control/xds/server.ts";
import type { Snapshot } from "../../control/xds/snapshot.ts";
import { sotwProtocol } from "../../control/xds/sotw.ts";
import type { Request } from "../../control/xds/state.ts";
import { createAdsStream } from "../../control/xds/stream.ts";
import { sotwSubscription } from "../../control/xds/subscription.ts";
import { resourceTypes } from "../../control/xds/types.ts";

/** What a proxy was sent, of one type. */
export interface Sent {
  type: string;
  version: string;
  /** All resources as one text, to look for names in. */
  text: string;
}

/** What a proxy says to it: its words where it refuses, nothing for yes; "mute": nothing at all. */
export type Says = (sent: Sent) => { refusal?: string } | "mute";

/** The real streams, fleet and protocol, without sockets: answers come in later turns of the event loop. */
export interface MemoryXds {
  xds: XdsServer;
  fleet: Fleet;
  /** Responses that were sent so far. */
  sends(): number;
  /** Opens a stream; the result ends it. */
  connect(node: string, scope: readonly string[], says: Says): () => void;
}

/** What a gateway asks for. */
const asked = [
  ["CDS", []],
  ["LDS", []],
  ["RDS", [routeConfigName]],
  ["ECDS", [filterName, tokenFilterName]],
] as const;

export function createMemoryXds(): MemoryXds {
  const fleet = createFleet();
  const streams = new Set<() => void>();
  let snapshotOf: SnapshotOf | undefined;
  let number = 0;
  let made = new Map<Snapshot, Published>();
  let sends = 0;

  function connect(node: string, scope: readonly string[], says: Says): () => void {
    const told = fleet.connected({ id: node, cluster: "", version: "", scope });
    const ads = createAdsStream(sotwProtocol, {
      sent: (type, version) => told.sent(type.name, version),
      acked: (type, version) => told.acked(type.name, version),
      nacked: (type, version, message) => told.nacked(type.name, version, message),
    });
    let open = true;
    const published = () => {
      const snapshot = snapshotOf?.(scope, node);
      if (snapshot === undefined) return undefined;
      const found = made.get(snapshot) ?? createPublished(number, snapshot, "memory");
      made.set(snapshot, found);
      return found;
    };
    const receive = (request: Omit<Request, "type" | "subscribe">, name: string) => {
      const type = resourceTypes.find((each) => each.name === name);
      const names = asked.find(([of]) => of === name)?.[1] ?? [];
      if (type === undefined) return;
      ads.receive({
        ...request,
        type,
        subscribe: (before, first) => sotwSubscription(before, first, names, type.wildcard),
      });
    };
    const flush = () => {
      const current = published();
      if (!open || current === undefined) return;
      ads.flush(current, (frame) => {
        sends++;
        const response = fromBinary(DiscoveryResponseSchema, frame.subarray(5));
        const type = resourceTypes.find(({ url }) => url === response.typeUrl)?.name ?? "";
        const text = response.resources.map(({ value }) => Buffer.from(value)).join("\n");
        const answer = says({ type, version: response.versionInfo, text });
        if (answer === "mute") return true;
        setImmediate(() => {
          if (open) receive({ nonce: response.nonce, ...answer }, type);
        });
        return true;
      });
    };
    for (const [name] of asked) receive({ nonce: "", version: "" }, name);
    streams.add(flush);
    flush();
    return () => {
      open = false;
      streams.delete(flush);
      told.closed();
    };
  }

  return {
    fleet,
    connect,
    sends: () => sends,
    xds: {
      handle: () => false,
      publish(snapshot) {
        snapshotOf = typeof snapshot === "function" ? snapshot : () => snapshot;
        number++;
        made = new Map();
        for (const flush of [...streams]) flush();
      },
      close() {},
    },
  };
}
