import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Resilience, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";
import { checkBalance } from "./balance.ts";
import { checkDuplicates } from "./duplicates.ts";
import { checkLocality } from "./locality.ts";

const path = "spec.resilience";

/** Conditions under which Envoy retries a request whose try timed out. */
const retriedWhenLate: readonly string[] = ["5xx", "gateway-error", "reset"];

/** Checks retries, timeouts and load balancing. */
export function checkResilience({ resilience }: RouteSpec, report: Report): void {
  if (resilience === undefined) return;
  const retries = resilience.retries;
  if (
    retries?.attempts === 0 &&
    (retries.perTryTimeout ?? retries.backoff ?? retries.budget ?? retries.retryOn[0]) !== undefined
  )
    report(
      "retries-off",
      `${path}.retries`,
      "perTryTimeout, retryOn, backoff and budget have no effect with 0 attempts: leave them out",
    );
  for (const [name, duration] of Object.entries(durationsOf(resilience)))
    if (duration !== undefined && duration.seconds === 0n && duration.nanos < 1_000_000)
      report(
        "out-of-range",
        `${path}.${name}`,
        `${name.split(".").at(-1)} must be at least 0.001s`,
      );
  checkFirstByte(resilience, report);
  checkStreamIdle(resilience, report);
  checkHealthCheck(resilience, report);
  checkBalance(resilience, report);
  if (resilience.locality) checkLocality(resilience.locality, report);
}

/** A request that missed firstByteTimeout is not retried; a proxy supports only one such timeout. */
function checkFirstByte({ firstByteTimeout, retries, timeout }: Resilience, report: Report): void {
  if (firstByteTimeout === undefined) return;
  const at = `${path}.firstByteTimeout`;
  if (retries?.perTryTimeout)
    report(
      "first-byte-retries",
      at,
      "firstByteTimeout cannot be combined with retries.perTryTimeout: the first answers 504, the second retries",
    );
  for (const condition of retries?.retryOn ?? [])
    if (retriedWhenLate.includes(condition))
      report(
        "first-byte-retries",
        at,
        `retries on ${condition} would retry requests that firstByteTimeout ended: leave ${condition} out, or use retries.perTryTimeout instead`,
      );
  if (timeout && nanosOf(firstByteTimeout) >= nanosOf(timeout))
    report("no-effect", at, "firstByteTimeout has no effect unless it is shorter than timeout");
}

/** A pod that sends nothing has begun its work: no other one may do it again. */
function checkStreamIdle(resilience: Resilience, report: Report): void {
  const { firstByteTimeout, retries, streamIdleTimeout, timeout } = resilience;
  if (streamIdleTimeout === undefined) return;
  const at = `${path}.streamIdleTimeout`;
  for (const condition of retries?.retryOn ?? [])
    if (retriedWhenLate.includes(condition))
      report(
        "stream-idle-retries",
        at,
        `retries on ${condition} would retry requests that streamIdleTimeout ended: leave ${condition} out`,
      );
  if (timeout && nanosOf(streamIdleTimeout) >= nanosOf(timeout))
    report("no-effect", at, "streamIdleTimeout has no effect unless it is shorter than timeout");
  if (firstByteTimeout && nanosOf(firstByteTimeout) >= nanosOf(streamIdleTimeout))
    report(
      "no-effect",
      `${path}.firstByteTimeout`,
      "firstByteTimeout has no effect unless it is shorter than streamIdleTimeout",
    );
}

/** Every proxy checks every pod. */
const minCheckInterval = 100_000_000n;

function checkHealthCheck({ healthCheck }: Resilience, report: Report): void {
  if (healthCheck === undefined) return;
  const { expectedStatuses, interval } = healthCheck;
  if (interval && nanosOf(interval) < minCheckInterval)
    report(
      "out-of-range",
      `${path}.healthCheck.interval`,
      "interval of a health check must be at least 0.1s",
    );
  checkDuplicates(
    expectedStatuses.map(String),
    `${path}.healthCheck.expectedStatuses`,
    { code: "duplicate-status", noun: "status" },
    report,
  );
}

function nanosOf({ nanos, seconds }: Duration): bigint {
  return seconds * 1_000_000_000n + BigInt(nanos);
}

/** All durations of a route's resilience, by their path below it. */
export function durationsOf(resilience: Resilience): Record<string, Duration | undefined> {
  const { balance, connections, healthCheck, outlier, retries, warmup } = resilience;
  const key = balance?.hash?.key;
  return {
    timeout: resilience.timeout,
    firstByteTimeout: resilience.firstByteTimeout,
    streamIdleTimeout: resilience.streamIdleTimeout,
    "healthCheck.interval": healthCheck?.interval,
    "healthCheck.timeout": healthCheck?.timeout,
    "retries.perTryTimeout": retries?.perTryTimeout,
    "retries.backoff": retries?.backoff,
    "outlier.interval": outlier?.interval,
    "outlier.baseEjectionTime": outlier?.baseEjectionTime,
    "connections.connectTimeout": connections?.connectTimeout,
    "connections.idleTimeout": connections?.idleTimeout,
    "connections.maxConnectionDuration": connections?.maxConnectionDuration,
    "connections.keepalive.time": connections?.keepalive?.time,
    "connections.keepalive.interval": connections?.keepalive?.interval,
    "warmup.duration": warmup?.duration,
    "balance.hash.cookie.ttl": key?.case === "cookie" ? key.value.ttl : undefined,
  };
}
