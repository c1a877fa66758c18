import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../../control/gen/envoy/config/listener/v3/listener_pb.ts";
import { HttpConnectionManagerSchema } from "../../control/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { resourceTypes } from "../../control/xds/types.ts";
import { type Proof, sotw } from "../xds/fake-envoy.ts";

const url = (name: string) => resourceTypes.find((type) => type.name === name)?.url ?? "";

/** A proxy that subscribes to everything and acknowledges it, or does not. */
export interface FakeProxy {
  /** While true it answers nothing any more. */
  mute: boolean;
  /** What it says to other configurations of the filters than the one it runs, instead of yes. */
  refusal: string | undefined;
  /** What it says no to, in its own words, besides that; undefined where it says yes. */
  refuses: (type: string, version: string, resources: readonly Any[]) => string | undefined;
  /** Responses that it was sent. */
  readonly received: readonly { type: string; version: string; resources: readonly Any[] }[];
  /** Ends its stream; the next one follows as after any loss, unless it is not to come back. */
  leave(comesBack: boolean): void;
  /** Longest time that it was without a stream, from the end of one to the first answer on the next. */
  longestGapMs: number;
  /** Percent of the users that the configuration it runs sends to the canary. */
  canaryPercent: number;
  close(): void;
}

/** What clusters are asked for with their endpoints. */
export function endpointsOf(resources: readonly Any[]): string[] {
  return resources
    .flatMap((any) => anyUnpack(any, ClusterSchema) ?? [])
    .filter(({ clusterDiscoveryType: { value } }) => value === Cluster_DiscoveryType.EDS)
    .map((each) => each.edsClusterConfig?.serviceName || each.name);
}

/** Filters of listeners whose configuration comes by itself. */
export function filtersOf(resources: readonly Any[]): string[] {
  return resources
    .flatMap((any) => anyUnpack(any, ListenerSchema)?.filterChains ?? [])
    .flatMap(({ filters }) => filters)
    .flatMap(({ configType: { value } }) =>
      value?.$typeName === "google.protobuf.Any"
        ? (anyUnpack(value, HttpConnectionManagerSchema)?.httpFilters ?? [])
        : [],
    )
    .flatMap(({ name, configType }) => (configType.case === "configDiscovery" ? [name] : []));
}

/** What is asked for only once something else has named it. */
const namedIn: Record<string, { type: string; names: (resources: readonly Any[]) => string[] }> = {
  CDS: { type: "EDS", names: endpointsOf },
  LDS: { type: "ECDS", names: filtersOf },
};

/** As Envoy does, it tries again until the control service listens. */
const againMs = 200;

/** @param ports of the replicas; it tries one after the other */
export function startFakeProxy(
  ports: number | readonly number[],
  id: string,
  proof: Proof = {},
): FakeProxy {
  const all = [ports].flat();
  let tries = 0;
  let lostMs: number | undefined;
  let envoy: ReturnType<typeof sotw>;
  let closed = false;
  const received: { type: string; version: string; resources: readonly Any[] }[] = [];
  const proxy: FakeProxy = {
    mute: false,
    refusal: undefined,
    refuses: () => undefined,
    received,
    leave(comesBack) {
      closed ||= !comesBack;
      envoy.close();
    },
    longestGapMs: 0,
    canaryPercent: 0,
    close() {
      closed = true;
      envoy.close();
    },
  };
  let runs = "";

  function open(): void {
    const mine = sotw(all[tries++ % all.length] ?? 0, proof);
    envoy = mine;
    let answered = false;
    mine.stream.once("close", () => {
      // Before the first server is there nothing is lost.
      if (answered) lostMs ??= performance.now();
      if (!closed) setTimeout(() => closed || open(), againMs);
    });
    const names: Record<string, string[]> = { RDS: ["weir"] };
    for (const { name, url: typeUrl } of resourceTypes)
      if (!Object.values(namedIn).some(({ type }) => type === name))
        mine.send({ typeUrl, resourceNames: names[name] ?? [], node: { id, cluster: "fake" } });
    void (async () => {
      for (;;) {
        const response = await mine.next(600_000);
        answered = true;
        if (lostMs) proxy.longestGapMs = Math.max(proxy.longestGapMs, performance.now() - lostMs);
        lostMs = undefined;
        if (proxy.mute) continue;
        const type = resourceTypes.find((each) => each.url === response.typeUrl)?.name ?? "";
        const { versionInfo: version, resources } = response;
        received.push({ type, version, resources });
        const other = type === "ECDS" && version !== runs ? proxy.refusal : undefined;
        const words = other ?? proxy.refuses(type, version, resources);
        const refused = words !== undefined;
        if (type === "ECDS" && !refused) {
          runs = response.versionInfo;
          const config = response.resources.map(({ value }) => Buffer.from(value).toString());
          const buckets = /"variant":"canary","count":(\d+)/.exec(config.join());
          proxy.canaryPercent = Number(buckets?.[1] ?? 0) / 100;
        }
        const next = namedIn[type];
        const found = next?.names(response.resources) ?? [];
        if (next && found.length > 0) {
          if (names[next.type] === undefined)
            mine.send({ typeUrl: url(next.type), resourceNames: found });
          names[next.type] = found;
        }
        mine.send({
          typeUrl: response.typeUrl,
          resourceNames: names[type] ?? [],
          versionInfo: refused ? "" : response.versionInfo,
          responseNonce: response.nonce,
          ...(refused ? { errorDetail: { code: 3, message: words } } : {}),
        });
      }
    })().catch(() => {
      // The server went away: the stream's end opens the next one.
    });
  }

  open();
  return proxy;
}
