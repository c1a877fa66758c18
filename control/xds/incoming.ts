import type { Node } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { SecretRequest } from "./secret.ts";
import type { NodeInfo } from "./shown.ts";
import { digestOf } from "./snapshot.ts";
import type { Request } from "./state.ts";

/** A message of a proxy, read but not yet trusted. */
export interface Incoming {
  node: Node | undefined;
  /** All resource names in it, for the limits. */
  names: readonly string[];
  request: Request;
  /** Present where it asks for secrets. */
  secret?: SecretRequest;
}

const maxIdLength = 256;
const maxRefusalLength = 2048;

/** Who the proxy is, or what is wrong with how it says so. */
export function readNode(node: Node | undefined): Omit<NodeInfo, "scope"> | string {
  if (node === undefined || node.id === "") return "the first request must carry a node with an id";
  if (node.id.length > maxIdLength)
    return `the node id has ${node.id.length} characters: at most ${maxIdLength} are allowed`;
  const build = node.userAgentVersionType;
  const version =
    build.case === "userAgentBuildVersion"
      ? [
          build.value.version?.majorNumber,
          build.value.version?.minorNumber,
          build.value.version?.patch,
        ].join(".")
      : (build.value ?? "").slice(0, maxIdLength);
  return { id: node.id, cluster: node.cluster.slice(0, maxIdLength), version };
}

/**
 * The refusal in a request. "NACK ... is indicated by the presence of the
 * error_detail field" ("ACK and NACK semantics summary"): one without words is one as well.
 */
export function refusalIn(
  detail: { code: number; message: string } | undefined,
): Pick<Request, "refusal"> {
  if (detail === undefined) return {};
  const words = detail.message.slice(0, maxRefusalLength);
  return { refusal: words || `refused without a message (code ${detail.code})` };
}

/** Version of the empty set: what a proxy has that was sent nothing. */
const emptyVersion = digestOf([]);

/** Whether a first request tells of something that the proxy was sent, so that its process is not a new one. */
export function resumes({ nonce, version, initialVersions = {} }: Request): boolean {
  return nonce === "" && ((version ?? "") !== "" || Object.keys(initialVersions).length > 0);
}

/** Whether the first request of a type says that the proxy runs something of it. */
export function bringsSomething(request: Request): boolean {
  return resumes(request) && request.version !== emptyVersion;
}
