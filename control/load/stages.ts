import { durationMs } from "./duration.ts";

/** A stretch of load at one rate. */
export interface Stage {
  /** Requests per second that are begun, whatever becomes of those before. */
  requestsPerSecond: number;
  durationMs: number;
}

const maxStages = 50;
const maxRequestsPerSecond = 100_000;

/**
 * Reads "100:30s,500:1m,1000": rates with how long each lasts; a rate without a
 * duration lasts as long as `defaultMs`.
 * @throws Error that names the stage and the limit
 */
export function parseStages(text: string, defaultMs: number): Stage[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length > maxStages)
    throw new Error(`${parts.length} stages: at most ${maxStages} are allowed`);
  return parts.map((part) => {
    const [rate = "", duration] = part.split(":");
    const requestsPerSecond = Number(rate);
    if (!/^\d+(\.\d+)?$/.test(rate) || requestsPerSecond <= 0)
      throw new Error(
        `stage "${part}" must be requests per second above 0, such as 100 or 100:30s`,
      );
    if (requestsPerSecond > maxRequestsPerSecond)
      throw new Error(
        `stage "${part}": ${rate} requests per second is above the limit of ${maxRequestsPerSecond}`,
      );
    return {
      requestsPerSecond,
      durationMs: duration === undefined ? defaultMs : durationMs(duration),
    };
  });
}

/**
 * When each request of a stage begins, in milliseconds from the stage's start:
 * a Poisson process, as independent users make one. `random` gives 0 to 1.
 */
export function* arrivals(stage: Stage, random: () => number): Generator<number> {
  const meanMs = 1000 / stage.requestsPerSecond;
  for (let atMs = -Math.log(1 - random()) * meanMs; atMs < stage.durationMs; ) {
    yield atMs;
    atMs -= Math.log(1 - random()) * meanMs;
  }
}
