import type { Duration } from "@bufbuild/protobuf/wkt";

const nanosPerMilli = 1_000_000;

/**
 * A duration as Istio's schema takes it: seconds with up to three decimals
 * ("600s", "0.250s"). Undefined when absent or zero: Istio refuses 0s and means
 * "no limit" by an absent field.
 */
export function durationText(duration: Duration | undefined): string | undefined {
  if (duration === undefined || isZero(duration)) return undefined;
  const millis = Math.trunc(duration.nanos / nanosPerMilli);
  return millis === 0
    ? `${duration.seconds}s`
    : `${duration.seconds}.${String(millis).padStart(3, "0")}s`;
}

/** Whether Istio can express it: not negative, whole milliseconds. */
export function isWholeMillis(duration: Duration): boolean {
  return (
    duration.seconds >= 0n && duration.nanos >= 0 && Math.abs(duration.nanos) % nanosPerMilli === 0
  );
}

function isZero(duration: Duration): boolean {
  return duration.seconds === 0n && duration.nanos === 0;
}
