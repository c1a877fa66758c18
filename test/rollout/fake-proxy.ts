import { anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { resourceTypes } from "../../control/xds/types.ts";
import { sotw } from "../xds/fake-envoy.ts";

const url = (name: string) => resourceTypes.find((type) => type.name === name)?.url ?? "";

/** A proxy that subscribes to everything and acknowledges it, or does not. */
export interface FakeProxy {
  /** While true it answers nothing any more. */
  mute: boolean;
  /** What it says to other configurations of the filters than the one it runs, instead of yes. */
  refusal: string | undefined;
  close(): void;
}

/** As Envoy does, it tries again until the control service listens. */
const againMs = 200;

export function startFakeProxy(port: number, id: string): FakeProxy {
  let envoy: ReturnType<typeof sotw>;
  let closed = false;
  const proxy: FakeProxy = {
    mute: false,
    refusal: undefined,
    close() {
      closed = true;
      envoy.close();
    },
  };
  let runs = "";

  function open(): void {
    const mine = sotw(port);
    envoy = mine;
    mine.stream.once("close", () => {
      if (!closed) setTimeout(() => closed || open(), againMs);
    });
    const names: Record<string, string[]> = { RDS: ["weir"], ECDS: ["weir"] };
    for (const { name, url: typeUrl } of resourceTypes)
      if (name !== "EDS")
        mine.send({ typeUrl, resourceNames: names[name] ?? [], node: { id, cluster: "fake" } });
    let asked = false;
    void (async () => {
      for (;;) {
        const response = await mine.next(600_000);
        if (proxy.mute) continue;
        const type = resourceTypes.find((each) => each.url === response.typeUrl)?.name ?? "";
        const refused =
          type === "ECDS" && proxy.refusal !== undefined && response.versionInfo !== runs;
        if (type === "ECDS" && !refused) runs = response.versionInfo;
        if (type === "CDS") {
          const clusters = response.resources
            .flatMap((any) => anyUnpack(any, ClusterSchema) ?? [])
            .filter(({ clusterDiscoveryType: { value } }) => value === Cluster_DiscoveryType.EDS);
          names.EDS = clusters.map((each) => each.edsClusterConfig?.serviceName || each.name);
          if (!asked && names.EDS.length > 0) {
            mine.send({ typeUrl: url("EDS"), resourceNames: names.EDS });
            asked = true;
          }
        }
        mine.send({
          typeUrl: response.typeUrl,
          resourceNames: names[type] ?? [],
          versionInfo: refused ? "" : response.versionInfo,
          responseNonce: response.nonce,
          ...(refused ? { errorDetail: { code: 3, message: proxy.refusal ?? "" } } : {}),
        });
      }
    })().catch(() => {
      // The server went away: the stream's end opens the next one.
    });
  }

  open();
  return proxy;
}
