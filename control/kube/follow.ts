import { errorText } from "../text/error-text.ts";
import type { KubeClient, WatchEvent } from "./client.ts";
import { KubeError } from "./errors.ts";
import type { KubeObject } from "./objects.ts";

/** Is called with what happens to the objects of a kind, in order. */
export interface Follower {
  /** All there are now: at the start, and again when changes were missed. */
  replace(objects: KubeObject[]): void;
  changed(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void;
  /** The API server is away, or back (undefined). */
  trouble(reason: string | undefined): void;
}

const minWaitMs = 100;
const maxWaitMs = 5_000;

/**
 * Lists the objects of a path and follows their changes until the signal
 * aborts. When the API server goes away it resumes where it stopped; when that
 * point is no longer kept there (410), it lists again.
 */
export async function follow(
  client: KubeClient,
  path: string,
  selector: string,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  let version: string | undefined;
  let waitMs = minWaitMs;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const objects: KubeObject[] = [];
        version = await client.list(path, selector, (items) => objects.push(...items));
        if (signal.aborted) return;
        follower.replace(objects);
      }
      follower.trouble(undefined);
      for await (const event of client.watch(path, selector, version, signal)) {
        version = event.object.metadata.resourceVersion ?? version;
        waitMs = minWaitMs;
        tell(follower, event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof KubeError && error.status === 410) {
        version = undefined;
        continue;
      }
      follower.trouble(errorText(error));
      await pause(waitMs, signal);
      waitMs = Math.min(2 * waitMs, maxWaitMs);
    }
  }
}

function tell(follower: Follower, { type, object }: WatchEvent): void {
  if (type !== "BOOKMARK") follower.changed(type, object);
}

/** Waits, or returns at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
