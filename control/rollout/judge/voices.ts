import type { Analysis, Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import type { Voices } from "../../report/index.ts";

/** The one proxy that reported nearly all of the evidence. */
export interface LoneVoice {
  node: string;
  /** Of the canary's answers. */
  percent: number;
  /** Proxies that there are. */
  wanted: number;
}

const defaultMaxPercent = 90;

/**
 * The proxy that reported a larger share of the canary's responses than one proxy may, if there are others.
 * @param before what all proxies had reported when the evidence began
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

/** Makes checks that rest on one proxy's reports inconclusive instead of passing; failures stay failures. */
export function weigh(verdicts: readonly Verdict[], voice: LoneVoice | undefined): void {
  if (voice === undefined) return;
  for (const verdict of verdicts) {
    if (verdict.outcome !== "pass" && verdict.outcome !== "fail") continue;
    if (verdict.outcome === "pass") verdict.outcome = "inconclusive";
    verdict.message += `; ${voice.percent.toFixed(0)} % of the canary's responses were reported by ${voice.node} alone, one of ${voice.wanted} proxies`;
  }
}
