import { setTimeout as sleep } from "node:timers/promises";
import type { Applied } from "../gen/weir/v1/service_pb.ts";
import type { Clients } from "./client.ts";
import { FailedError } from "./exit.ts";

const pollMs = 25;

/**
 * Waits until every connected proxy runs the route as stored under the etag.
 * @returns the line that says so
 * @throws FailedError when a proxy refuses it, someone changed it meanwhile, or time is up
 */
export async function waitApplied(
  clients: Clients,
  name: string,
  etag: string,
  timeoutMs: number,
): Promise<string> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const { state, applied } = await clients.routes.getRoute({ name });
    if (state?.etag !== etag) {
      const { entries } = await clients.audit.listAudit({ name, limit: 1 });
      const [newest] = entries;
      if (newest?.action === "take-back") throw new FailedError(`taken back: ${newest.reason}`);
      throw new FailedError(`${name} was changed by someone else meanwhile (etag ${state?.etag})`);
    }
    if (applied && applied.wanted > 0 && applied.applied === applied.wanted)
      return showApplied(applied);
    const refused = applied?.behind.find(({ reason }) => reason.includes(" refused: "));
    if (refused) throw new FailedError(`${refused.node}: ${refused.reason}`);
    if (Date.now() > deadline) {
      const detail = applied?.wanted
        ? applied.behind.map(({ node, reason }) => `\n  ${node}: ${reason}`).join("")
        : ": no proxy is connected";
      throw new FailedError(`not applied within ${timeoutMs / 1000} s${detail}`);
    }
    await sleep(pollMs);
  }
}

/** "applied on 12 of 12", and why not where it is not. */
export function showApplied({ wanted, applied, behind }: Applied): string {
  if (wanted === 0) return "no proxy is connected";
  return [
    `applied on ${applied} of ${wanted}`,
    ...behind.map(({ node, reason }) => `  ${node}: ${reason}`),
  ].join("\n");
}
