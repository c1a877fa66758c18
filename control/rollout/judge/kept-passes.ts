import type { Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import { fewest } from "./compare.ts";
import { passesAt } from "./judge.ts";
import { messageOf } from "./verdict-message.ts";

/**
 * What passed once in a step has passed: evidence that may be looked at at any time needs
 * no second look. Where the answers since speak against it, it is open again.
 * @param passed checks that passed before; those that pass now come to them
 */
export function keepPasses(verdicts: readonly Verdict[], passed: Set<string>): void {
  for (const verdict of verdicts) {
    if (verdict.outcome === "pass") passed.add(verdict.check);
    if (verdict.outcome !== "inconclusive" || !passed.has(verdict.check)) continue;
    if (verdict.against >= passesAt) continue;
    verdict.outcome = "pass";
    verdict.message = messageOf(verdict, fewest);
  }
}
