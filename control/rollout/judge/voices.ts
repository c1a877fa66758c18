import type { Analysis, Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import type { Voices } from "../../report/index.ts";

/** One proxy whose word nearly all of the evidence is. */
export interface LoneVoice {
  node: string;
  /** Of the canary's answers. */
  percent: number;
  /** Proxies that there are. */
  wanted: number;
}

const defaultMaxPercent = 90;

/**
 * The proxy that told of more of the canary's answers than one may, where there are others.
 * @param before what all proxies had told when the evidence began
 */
export function loneVoice(
  analysis: Analysis | undefined,
  canary: string,
  before: Voices,
  now: Voices,
  wanted: number,
): LoneVoice | undefined {
  if (wanted < 2) return undefined;
  let total = 0;
  let max = 0;
  let node = "";
  for (const [key, count] of now) {
    if (!key.startsWith(`${canary}\0`)) continue;
    const known = before.get(key) ?? 0;
    const added = count < known ? count : count - known;
    total += added;
    if (added > max) [max, node] = [added, key.slice(canary.length + 1)];
  }
  const percent = total === 0 ? 0 : (100 * max) / total;
  return percent > (analysis?.maxProxyPercent ?? defaultMaxPercent)
    ? { node, percent, wanted }
    : undefined;
}

/** A check that hangs on one proxy's word says so, and passes no more; what fails fails all the same. */
export function weigh(verdicts: readonly Verdict[], voice: LoneVoice | undefined): void {
  if (voice === undefined) return;
  for (const verdict of verdicts) {
    if (verdict.outcome !== "pass" && verdict.outcome !== "fail") continue;
    if (verdict.outcome === "pass") verdict.outcome = "inconclusive";
    verdict.message += `; ${voice.percent.toFixed(0)} % of the canary's responses were reported by ${voice.node} alone, one of ${voice.wanted} proxies`;
  }
}
