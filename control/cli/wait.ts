import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import type { Applied } from "../gen/weir/v1/service_pb.ts";
import { plain } from "../telemetry/plain.ts";
import type { Clients } from "./client.ts";
import { FailedError } from "./exit.ts";
import { isAway } from "./watch.ts";

const pollMs = 25;
const awayPollMs = 250;

/**
 * Waits until every connected proxy runs the route as stored under the etag. A control
 * service that is away meanwhile is asked again: what it stored is not lost with it.
 * @returns the line that says so
 * @throws FailedError when a proxy refuses it, someone changed it meanwhile, or time is up, also for a service that went away
 */
export async function waitApplied(
  clients: Clients,
  name: string,
  etag: string,
  timeoutMs: number,
): Promise<string> {
  const deadline = Date.now() + timeoutMs;
  let warned = false;
  for (;;) {
    const answer = await clients.routes.getRoute({ name }).catch((error: unknown) => {
      if (!isAway(error)) throw error;
      return error;
    });
    if (answer instanceof ConnectError) {
      if (Date.now() > deadline)
        throw new FailedError(
          `the change of ${name} is stored (etag ${etag}), but the control service became unreachable before every proxy ran it: ${answer.rawMessage}\ncheck with "weir get ${name}" once it is reachable`,
        );
      if (!warned)
        process.stderr.write(
          `warning: the change of ${name} is stored (etag ${etag}); cannot reach the control service: ${answer.rawMessage}; retrying\n`,
        );
      warned = true;
      await sleep(awayPollMs);
      continue;
    }
    warned = false;
    const { state, applied } = answer;
    if (state?.etag !== etag) {
      const { entries } = await clients.audit.listAudit({ name, limit: 1 });
      const [newest] = entries;
      if (newest?.action === "take-back")
        throw new FailedError(`the change was reverted: ${plain(newest.reason)}`);
      throw new FailedError(
        `${name} was changed by someone else in the meantime (etag ${state?.etag})`,
      );
    }
    if (applied && applied.wanted > 0 && applied.applied === applied.wanted)
      return showApplied(applied);
    const behind = applied?.behind ?? [];
    // "not sent: one refused ..." is about another proxy's no, and is as final.
    const refused = behind.find(
      ({ reason, refusedBefore }) =>
        !refusedBefore && (reason.includes(" refused: ") || reason.startsWith("not sent: ")),
    );
    if (refused) throw new FailedError(`${plain(refused.node)}: ${plain(refused.reason)}`);
    // A proxy that refused an earlier change will not run this one either: do not wait for it.
    if (applied && behind.length > 0 && behind.every(({ refusedBefore }) => refusedBefore))
      throw new FailedError(showApplied(applied));
    if (Date.now() > deadline) {
      const detail = applied?.wanted
        ? applied.behind.map(({ node, reason }) => `\n  ${plain(node)}: ${plain(reason)}`).join("")
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
    ...behind.map(({ node, reason }) => `  ${plain(node)}: ${plain(reason)}`),
  ].join("\n");
}
