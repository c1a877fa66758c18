import { setTimeout as sleep } from "node:timers/promises";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { EndpointService } from "../gen/weir/v1/endpoint_pb.ts";

/** A pod as it registers. */
export interface Pod {
  route: string;
  variant: string;
  address: string;
  instance: string;
  capacity: number;
  leaseMs: number;
}

export interface LeaseOptions {
  endpoints: Client<typeof EndpointService>;
  pod: Pod;
  /** Whether the pod can take requests now. */
  isHealthy(): Promise<boolean>;
  say(line: string): void;
  signal: AbortSignal;
}

const healthAgainMs = 250;
/** Refusals that the same call would get again, whatever happens elsewhere. */
const lasting = [Code.InvalidArgument, Code.PermissionDenied, Code.Unauthenticated];

/**
 * Registers a pod once it is healthy, and renews its lease while it is, until the signal.
 * What may pass is tried again. @throws ConnectError for a refusal that lasts
 */
export async function keepLease(options: LeaseOptions): Promise<void> {
  const { endpoints, pod, isHealthy, say, signal } = options;
  const { leaseMs, ...named } = pod;
  const thirdMs = Math.floor(leaseMs / 3);
  let said = "";
  const sayOnce = (line: string) => {
    if (line !== said) say(line);
    said = line;
  };
  while (!signal.aborted) {
    let waitMs = healthAgainMs;
    if (await isHealthy()) {
      try {
        const { renewAfter } = await endpoints.registerEndpoint(
          { ...named, lease: durationOf(leaseMs) },
          { timeoutMs: thirdMs, signal },
        );
        sayOnce(`registered ${pod.address} for ${pod.route}, variant ${pod.variant}`);
        waitMs = renewAfter ? millisecondsOf(renewAfter) : thirdMs;
      } catch (error) {
        if (signal.aborted) return;
        const { code, rawMessage } = ConnectError.from(error);
        if (lasting.includes(code)) throw error;
        sayOnce(`not registered: ${rawMessage}; trying again`);
        waitMs = Math.min(1_000, thirdMs);
      }
    } else
      sayOnce(
        said === ""
          ? "waiting for the pod's health"
          : "the pod is not healthy: its lease is not renewed",
      );
    await sleep(waitMs, undefined, { signal }).catch(() => {});
  }
}

/** Tries a call some times: it is the last word of a pod that ends. Says what went wrong at last. */
export async function lastWord<T>(
  call: () => Promise<T>,
  say: (line: string) => void,
): Promise<T | undefined> {
  for (let left = 3; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left > 0) {
        await sleep(healthAgainMs);
        continue;
      }
      say(ConnectError.from(error).rawMessage);
      return undefined;
    }
  }
}

export function millisecondsOf({ seconds, nanos }: Pick<Duration, "seconds" | "nanos">): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

function durationOf(ms: number) {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round(ms % 1000) * 1e6 };
}
