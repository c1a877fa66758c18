import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  RetryPolicySchema,
  RouteAction_HashPolicySchema,
  RouteActionSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import { PreviousHostsPredicateSchema } from "../../gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
import { PreviousPrioritiesConfigSchema } from "../../gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.ts";
import type { Retries, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Hash } from "../../gen/weir/v1/traffic_pb.ts";
import { pack, seconds } from "./common.ts";

type HashPolicy = MessageInitShape<typeof RouteAction_HashPolicySchema>;

/** What may be tried again although a completion is not idempotent: the pod has not seen it. */
const unseenByPods = ["connect-failure", "refused-stream", "reset-before-request"];

/**
 * How a route treats its pods: timeout, tries again, and what the choice of a pod hashes.
 * @param takeOvers clusters that take over, one after the other, from the one that requests go to
 */
export function behaviour(
  { fault, resilience }: RouteSpec,
  { drill, takeOvers }: { drill: boolean; takeOvers: number },
): Pick<MessageInitShape<typeof RouteActionSchema>, "timeout" | "retryPolicy" | "hashPolicy"> {
  const { balance, firstByteTimeout, retries, streamIdleTimeout, timeout } = resilience ?? {};
  const policy = {
    ...retryPolicy(retries, takeOvers),
    // The time of one try ends with the headers of an answer. Without a condition nothing is tried again.
    ...(firstByteTimeout ? { perTryTimeout: firstByteTimeout } : {}),
    // Unlike the route's own idle timeout it is about the pod alone: it begins when the request has
    // arrived, so that no client is cut that is slow to send, and no WebSocket.
    ...(streamIdleTimeout ? { perTryIdleTimeout: streamIdleTimeout } : {}),
  };
  return {
    timeout: (drill ? fault?.cutAfter : undefined) ?? timeout ?? seconds(0),
    ...(Object.keys(policy).length > 0 ? { retryPolicy: policy } : {}),
    hashPolicy: balance?.hash ? [hashPolicy(balance.hash)] : [],
  };
}

/** What a route asks for, and what its requests need to reach those that take over. */
function retryPolicy(
  retries: Retries | undefined,
  takeOvers: number,
): MessageInitShape<typeof RetryPolicySchema> {
  const attempts = retries?.attempts ?? 0;
  if (attempts + takeOvers === 0) return {};
  const asked = attempts > 0 ? (retries?.retryOn ?? []) : [];
  const needed = asked.length === 0 || takeOvers > 0 ? unseenByPods : [];
  // A request that a pod may have seen runs no more often than the route allows.
  const mayRunTwice = asked.some((condition) => !unseenByPods.includes(condition));
  return {
    retryOn: [...new Set([...asked, ...needed])].join(","),
    numRetries: mayRunTwice ? attempts : Math.max(attempts, takeOvers),
    ...(retries?.perTryTimeout ? { perTryTimeout: retries.perTryTimeout } : {}),
    ...(retries?.backoff ? { retryBackOff: { baseInterval: retries.backoff } } : {}),
    // The pod that failed is the last one to ask again.
    retryHostPredicate: [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: { case: "typedConfig", value: pack(PreviousHostsPredicateSchema, {}) },
      },
    ],
    hostSelectionRetryMaxAttempts: 5n,
    ...(retries?.remoteLocalities || takeOvers > 0
      ? {
          retryPriority: {
            name: "envoy.retry_priorities.previous_priorities",
            configType: {
              case: "typedConfig",
              value: pack(PreviousPrioritiesConfigSchema, { updateFrequency: 1 }),
            },
          },
        }
      : {}),
  };
}

function hashPolicy({ key }: Hash): HashPolicy {
  switch (key.case) {
    case "cookie":
      return {
        policySpecifier: {
          case: "cookie",
          value: { name: key.value.name, path: key.value.path, ttl: key.value.ttl ?? seconds(0) },
        },
      };
    case "sourceIp":
      return { policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } };
    case "queryParameter":
      return { policySpecifier: { case: "queryParameter", value: { name: key.value } } };
    default:
      return { policySpecifier: { case: "header", value: { headerName: key.value ?? "" } } };
  }
}
