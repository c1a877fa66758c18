import type { Proof } from "../../gen/weir/v1/rollout_pb.ts";
import type { Applied } from "../../gen/weir/v1/service_pb.ts";
import type { ShareAgreement } from "../../route/index.ts";
import { milliseconds, showTime } from "../plan/duration.ts";

/** Whether a step runs everywhere. */
export interface ProofStatus {
  /** Overdue: not proven at the deadline. */
  status: "proven" | "pending" | "refused" | "overdue";
  /** What is missing, and on which proxies. */
  message: string;
  /** Proxies that run it, and that should. */
  applied: number;
  wanted: number;
}

const defaultDeadlineMs = 60_000;
/** Maximum number of names in a message. */
const maxNamed = 3;

/** How far the proxies are. */
interface FleetProgress {
  applied: Pick<Applied, "applied" | "wanted" | "behind">;
  /** Message when there is no proxy. */
  nobody?: string;
}

/**
 * The proof of a step: enough proxies run it and say so, and the requests follow the weights.
 * @param share of the requests counted since the proxies ran it; undefined while they do not
 * @param waitedMs since the step was written, or was proven last
 */
export function proofOf(
  proof: Proof | undefined,
  { applied: fleet, nobody = "no proxy is connected" }: FleetProgress,
  share: ShareAgreement | undefined,
  waitedMs: number,
): ProofStatus {
  const { applied, wanted, behind } = fleet;
  const counts = { applied, wanted };
  // A refusal of an earlier change says nothing about this step: the proxy only counts as behind.
  const refused = behind.filter((each) => each.refused && !each.refusedBefore);
  if (refused.length > 0)
    return {
      ...counts,
      status: "refused",
      message: `${named(refused)}${more(refused.length)}`,
    };
  const enough = wanted > 0 && (100 * applied) / wanted >= (proof?.proxies ?? 100);
  if (enough && (share === undefined || share.agrees))
    return { ...counts, status: "proven", message: `applied on ${applied} of ${wanted}` };
  const lacking =
    enough && share
      ? `the canary got ${share.seen.toFixed(1)} % of ${share.requests} requests, which does not match its weight`
      : wanted === 0
        ? nobody
        : `applied on ${applied} of ${wanted}: ${named(behind)}${more(behind.length)}`;
  const deadlineMs = milliseconds(proof?.deadline, defaultDeadlineMs);
  if (waitedMs < deadlineMs) return { ...counts, status: "pending", message: lacking };
  const message = `not proven within ${showTime(deadlineMs)}: ${lacking}`;
  // Without any proxy there is nothing to continue with.
  return proof?.onDeadline === "continue" && applied > 0
    ? { ...counts, status: "proven", message }
    : { ...counts, status: "overdue", message };
}

function named(proxies: readonly { node: string; reason: string }[]): string {
  return proxies
    .slice(0, maxNamed)
    .map(({ node, reason }) => `${node} ${reason}`)
    .join("; ");
}

function more(count: number): string {
  return count > maxNamed ? ` and ${count - maxNamed} more` : "";
}
