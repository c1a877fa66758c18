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

export function startFakeProxy(port: number, id: string): FakeProxy {
  const envoy = sotw(port);
  const proxy: FakeProxy = { mute: false, refusal: undefined, close: () => envoy.close() };
  const names: Record<string, string[]> = { RDS: ["weir"], ECDS: ["weir"] };
  for (const { name, url: typeUrl } of resourceTypes)
    if (name !== "EDS")
      envoy.send({ typeUrl, resourceNames: names[name] ?? [], node: { id, cluster: "fake" } });
  let asked = false;
  let runs = "";
  void (async () => {
    for (;;) {
      const response = await envoy.next(600_000);
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
          envoy.send({ typeUrl: url("EDS"), resourceNames: names.EDS });
          asked = true;
        }
      }
      envoy.send({
        typeUrl: response.typeUrl,
        resourceNames: names[type] ?? [],
        versionInfo: refused ? "" : response.versionInfo,
        responseNonce: response.nonce,
        ...(refused ? { errorDetail: { code: 3, message: proxy.refusal ?? "" } } : {}),
      });
    }
  })().catch(() => {
    // The server went away, or the test closed it.
  });
  return proxy;
}
