import { useState } from "preact/hooks";
import { useRollout } from "./data.js";
import { when, whole } from "./format.js";
import { html } from "./html.js";
import { RolloutDialog } from "./rollout-dialog.js";
import { hasEnded, PhaseWord, stagesOf, stepWords, Verdicts } from "./rollout-words.js";

/** @import { VerdictJson } from "../../gen/weir/v1/rollout_pb.ts" */
/** @import { AuditEntry, Progress, RolloutState, Route } from "../answers.ts" */
/** @import { Action } from "./rollout-dialog.js" */

/**
 * The rollout of a route: steps, what was measured, what it waits for, and how it came here.
 * @param {{ name: string, route: Route, entries: AuditEntry[] }} of
 */
export function Rollout({ name, route, entries }) {
  const [asked, setAsked] = useState(/** @type {Action | undefined} */ (undefined));
  const { message, loading } = useRollout(name);
  const progress = message?.progress;
  const state = progress?.state;
  return html`<section aria-labelledby="rollout">
    <h3 id="rollout">Rollout</h3>
    ${loading && html`<p class="empty">loading ...</p>`}
    ${!loading && !state && html`<p class="empty">the route has no rollout yet: <code>weir rollout start -f rollout.yaml</code></p>`}
    ${
      state &&
      html`
      <p role="status"><${PhaseWord} phase=${state.phase} />, ${withReason(state)}</p>
      <${Steps} state=${state} />
      <${Actions} phase=${state.phase} ask=${setAsked} />
      ${!hasEnded(state.phase) && html`<${Now} ...${progress} />`}
      ${asked && html`<${RolloutDialog} action=${asked} name=${name} state=${state} next=${progress.next} route=${route} close=${() => setAsked(undefined)} />`}
      <${Timeline} entries=${entries} />`
    }
  </section>`;
}

/** @param {{ state: RolloutState }} of */
function Steps({ state }) {
  const { phase, rollout, step = 0 } = state;
  const place = (/** @type {number} */ index) => {
    if (phase === "succeeded" || index < step) return "done";
    if (index > step) return "to come";
    return phase === "running" ? "now" : phase.replace("-", " ");
  };
  return html`<ol class="steps" aria-label="steps">${stagesOf(rollout.spec).map(
    ({
      index,
      words,
    }) => html`<li key=${index} class=${`step-${place(index).replace(" ", "-")}`} aria-current=${index === step ? "step" : undefined}>
      <strong>${words}</strong> <span class="quiet">${place(index)}</span></li>`,
  )}</ol>`;
}

/** @param {{ phase: string, ask: (action: Action) => void }} of */
function Actions({ phase, ask }) {
  if (hasEnded(phase) || phase === "rolling-back") return null;
  /** @type {Action[]} */
  const possible = [phase === "paused" ? "resume" : "pause", "promote", "roll back"];
  return html`<p class="tools">${possible.map(
    (action) => html`<button key=${action} onClick=${() => ask(action)}>${action} ...</button>`,
  )}</p>`;
}

/** What it measures and waits for at this moment. @param {Progress} progress */
function Now(progress) {
  const { state, waitingFor = [], verdicts = [], next, proven = 0, wanted = 0 } = progress;
  const shown = verdicts.length > 0 ? verdicts : (state.verdicts ?? []);
  const answers = [progress.canaryAnswers ?? 0, progress.stableAnswers ?? 0].map(whole);
  return html`
    <p>${wanted > 0 ? `applied on ${proven} of ${wanted} proxies; ` : ""}responses in this step: ${answers[0]} from ${state.rollout.spec.canary}, ${answers[1]} from ${state.rollout.spec.stable}</p>
    ${waitingFor.length > 0 && html`<p>waiting for:</p><ul>${waitingFor.map((each) => html`<li>${each}</li>`)}</ul>`}
    ${next && html`<p>next: ${next}</p>`}
    ${shown.length > 0 && html`<${Verdicts} verdicts=${shown} label="checks of this step" />`}`;
}

/** What the rollout did, newest first, with the verdicts that decided it. @param {{ entries: AuditEntry[] }} of */
function Timeline({ entries }) {
  const own = entries.filter(({ action }) => action.startsWith("rollout-"));
  if (own.length === 0) return null;
  return html`<h4>History</h4>
    <ol class="timeline" aria-label="timeline of the rollout">${own.map(
      ({ action, at, principal, reason, rolloutAfter, sequence }) => {
        const verdicts = rolloutAfter?.verdicts ?? [];
        return html`<li key=${sequence}>
          <time datetime=${at}>${when(at)}</time> <strong>${action.replace("rollout-", "")}</strong>
          ${rolloutAfter && html` <span>${stepWords(rolloutAfter)}</span>`}
          <div>${reasonOf(reason || rolloutAfter?.reason, rolloutAfter)} <span class="quiet">${principal}</span></div>
          ${
            verdicts.length > 0 &&
            html`<details><summary>${verdictSummary(verdicts)}</summary>
            <${Verdicts} verdicts=${verdicts} label=${`verdicts of change ${sequence}`} /></details>`
          }
        </li>`;
      },
    )}</ol>`;
}

/** The step, and why it is there unless that only says the step again. @param {RolloutState} state */
function withReason(state) {
  return [stepWords(state), reasonOf(state.reason, state)].filter(Boolean).join(": ");
}

/** Why, unless that only says the step again. @param {string} [reason] @param {RolloutState} [state] */
function reasonOf(reason = "", state = undefined) {
  return state && reason === stepWords(state) ? "" : reason;
}

/** @param {VerdictJson[]} verdicts */
function verdictSummary(verdicts) {
  const count = (/** @type {string} */ outcome) =>
    verdicts.filter((each) => each.outcome === outcome).length;
  return ["pass", "fail", "inconclusive", "missing"]
    .filter((outcome) => count(outcome) > 0)
    .map((outcome) => `${count(outcome)} ${outcome}`)
    .join(", ");
}
