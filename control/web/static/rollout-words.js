import { whole } from "./format.js";
import { html } from "./html.js";

/** @import { VerdictJson } from "../../gen/weir/v1/rollout_pb.ts" */
/** @import { RolloutSpec, RolloutState } from "../answers.ts" */
/** @import { Measured } from "./format.js" */

/** Whether a rollout will not change any more. @param {string} phase */
export function hasEnded(phase) {
  return ["succeeded", "rolled-back", "abandoned"].includes(phase);
}

/** A phase with a mark that is not only a colour. @param {{ phase: string }} of */
export function PhaseWord({ phase }) {
  const bad = ["rolling-back", "rolled-back", "abandoned"].includes(phase);
  const mark = bad ? "bad" : phase === "paused" ? "held" : "ok";
  return html`<span class="nowrap"><span class=${`dot ${mark}`}></span> ${phase.replace("-", " ")}</span>`;
}

/** All stages of a rollout: number, and what it is in a few words. @param {RolloutSpec} spec */
export function stagesOf({ warmup, steps }) {
  const named = steps.map((step, index) => ({ index, words: words(step) }));
  return [
    ...(warmup ? [{ index: -1, words: `warm-up ${warmup.weight} %` }] : []),
    ...named,
    { index: steps.length, words: "bake" },
  ];
}

/** @param {RolloutSpec["steps"][number]} step */
function words({ weight, pause, shadow, headerOnly }) {
  if (pause) return "pause";
  if (shadow) return `copies ${shadow.percent} %`;
  if (headerOnly) return "by header only";
  return `${weight ?? 0} %`;
}

/** Where a rollout is, on one line. @param {RolloutState} state */
export function stepWords({ rollout, step = 0, weight = 0 }) {
  const steps = rollout.spec.steps.length;
  const share = `${weight} % for ${rollout.spec.canary}`;
  if (step < 0) return `warm-up: ${share}`;
  if (step >= steps) return `bake at ${weight} %`;
  return `step ${step + 1} of ${steps}: ${share}`;
}

/** @type {Record<string, string>} */
const marks = { pass: "✓", fail: "✗", missing: "?", inconclusive: "…" };

/** Checks with their outcome and the numbers that it rests on. @param {{ verdicts: VerdictJson[], label: string }} of */
export function Verdicts({ verdicts, label }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
    <caption class="hidden">${label}</caption>
    <thead><tr>
      <th scope="col">check</th><th scope="col">outcome</th><th scope="col" class="number">canary</th>
      <th scope="col" class="number">stable</th><th scope="col" class="number">limit</th>
      <th scope="col" class="number">responses</th><th scope="col">message</th>
    </tr></thead>
    <tbody>${verdicts.map(
      (each) => html`<tr key=${each.check}>
      <th scope="row">${each.check}</th>
      <td class=${`nowrap verdict-${each.outcome}`}><span aria-hidden="true">${marks[each.outcome ?? ""] ?? ""}</span> ${each.outcome}</td>
      <td class="number">${amount(each, each.canary)}</td>
      <td class="number">${amount(each, each.stable)}</td>
      <td class="number">${amount(each, each.limit)}</td>
      <td class="number">${each.canarySample ? `${whole(each.canarySample)} / ${whole(each.stableSample ?? 0)}` : "–"}</td>
      <td>${each.message}</td>
    </tr>`,
    )}</tbody>
  </table></div>`;
}

/** @type {Record<string, string>} */
const units = { percent: " %", ms: " ms", tokens: "", "tokens/s": "" };

/** A number of a verdict; one that rests on nothing has none. @param {VerdictJson} verdict @param {Measured} value */
function amount({ canarySample, outcome, unit = "" }, value = 0) {
  if (outcome === "missing" || !canarySample || typeof value !== "number") return "–";
  return `${value >= 100 ? Math.round(value) : Math.round(value * 100) / 100}${units[unit] ?? ""}`;
}
