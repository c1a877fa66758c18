import type { Node } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { NodeInfo } from "./fleet.ts";
import type { Request } from "./stream.ts";

/** A message of a proxy, read but not yet trusted. */
export interface Incoming {
  node: Node | undefined;
  /** All resource names in it, for the limits. */
  names: readonly string[];
  /** Absent for a type that Weir has nothing of: such a watch stays empty. */
  request?: Request;
}

const mostIdLength = 256;

/** Who the proxy is, or what is wrong with how it says so. */
export function readNode(node: Node | undefined): Omit<NodeInfo, "scope"> | string {
  if (node === undefined || node.id === "") return "the first request must carry a node with an id";
  if (node.id.length > mostIdLength)
    return `the node id has ${node.id.length} characters: at most ${mostIdLength} are allowed`;
  const build = node.userAgentVersionType;
  const version =
    build.case === "userAgentBuildVersion"
      ? [
          build.value.version?.majorNumber,
          build.value.version?.minorNumber,
          build.value.version?.patch,
        ].join(".")
      : (build.value ?? "");
  return { id: node.id, cluster: node.cluster.slice(0, mostIdLength), version };
}
