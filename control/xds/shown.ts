import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Proxy, ProxyResourceSchema, ProxySchema } from "../gen/weir/v1/service_pb.ts";
import { resourceTypes } from "./types.ts";
import { type StreamAnswers, worstOf } from "./verdicts.ts";

/** Who a proxy says it is, in the first request of its stream. */
export interface NodeInfo {
  id: string;
  cluster: string;
  version: string;
  /** Namespaces whose routes it gets; ["*"] means all. */
  scope: readonly string[];
}

/** A change that a proxy refused. */
export interface Refusal {
  node: string;
  /** "CDS" ... "ECDS". */
  type: string;
  /** The proxy's own message. */
  message: string;
}

/** Changes that are held back from a scope, with the refusals that caused it. */
export interface Held {
  refusals: readonly Refusal[];
  since: Date;
}

interface Shown {
  info: NodeInfo;
  since: Date;
  revision: string;
  reportedAt?: Date;
  /** Of the stream that closed last. */
  last: StreamAnswers | undefined;
}

/** Builds the API's view of a proxy. */
export function toProxy(
  { info, revision, reportedAt, since: from, last }: Shown,
  open: ReadonlySet<StreamAnswers>,
  held: Held | undefined,
): Proxy {
  const connected = open.size > 0;
  const streams = connected || last === undefined ? open : [last];
  let inSync = connected;
  const resources = resourceTypes.flatMap(({ name }) => {
    const type = worstOf(streams, name);
    if (type === undefined) return [];
    const { sent, acked, waiting, nack } = type;
    const first = held?.refusals.find((each) => each.node === info.id && each.type === name);
    inSync &&= sent === acked && !waiting && nack === undefined && first === undefined;
    const since = nack?.since ?? (first && held?.since);
    return create(ProxyResourceSchema, {
      type: name,
      sentVersion: sent,
      ackedVersion: acked,
      nackedVersion: nack?.version ?? "",
      nackMessage: nack?.message ?? first?.message ?? "",
      ...(since ? { refusedSince: timestampFromDate(since) } : {}),
    });
  });
  return create(ProxySchema, {
    node: info.id,
    cluster: info.cluster,
    version: info.version,
    connected,
    since: timestampFromDate(from),
    resources,
    reportedRevision: revision,
    ...(reportedAt ? { reportedAt: timestampFromDate(reportedAt) } : {}),
    inSync,
  });
}
