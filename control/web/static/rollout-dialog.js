import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "./api.js";
import { html } from "./html.js";
import { failureOf } from "./outcome.js";
import { stepWords } from "./rollout-words.js";
import { Preview, planWeights } from "./shift-dialog.js";

/** @import { RolloutState, Route } from "../answers.ts" */
/** @import { Plan } from "./shift-dialog.js" */

/** @typedef {keyof typeof methods} Action what one may tell a rollout */

const methods = /** @type {const} */ ({
  pause: "PauseRollout",
  resume: "ResumeRollout",
  promote: "PromoteRollout",
  "roll back": "RollbackRollout",
});

/**
 * Says what a command to a rollout would do, asks for a reason, and gives it on confirmation.
 * @param {{ action: Action, name: string, state: RolloutState, next?: string, route: Route, close: () => void }} of
 */
export function RolloutDialog({ action, name, state, next, route, close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [preview, setPreview] = useState(/** @type {Plan} */ ({}));
  const [failure, setFailure] = useState("");
  // Of the rollout that the reader saw: what someone else did meanwhile is not overruled.
  const [etag] = useState(state.etag);
  const weights = action === "roll back" ? state.safeWeights : undefined;

  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  useEffect(() => {
    let stale = false;
    if (weights)
      planWeights(route, weights).then((plan) => {
        if (!stale) setPreview(plan);
      });
    return () => {
      stale = true;
    };
  }, []);

  const submit = async (/** @type {SubmitEvent & { currentTarget: HTMLFormElement }} */ event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    /** @type {{ name: string, reason: string, etag?: string, full?: boolean }} */
    const request = { name, reason: String(given.get("reason")) };
    // Going back wins over whatever was done meanwhile.
    if (action !== "roll back") request.etag = etag;
    if (given.get("full")) request.full = true;
    try {
      await call(`RolloutService/${methods[action]}`, request);
      close();
    } catch (error) {
      setFailure(failureOf(error).message);
    }
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="rollout-title">
    <form onSubmit=${submit}>
      <h3 id="rollout-title">${action} the rollout of ${name}</h3>
      <p>${effectOf(action, state, next)}</p>
      ${weights && html`<${Preview} ...${preview} />`}
      ${action === "promote" && html`<label class="choice"><input type="checkbox" name="full" /> skip the waiting of all remaining steps</label>`}
      <label>reason <input name="reason" required maxlength="500" placeholder="recorded in the audit" /></label>
      ${failure && html`<p role="alert" class="nack">${failure}</p>`}
      <p class="actions">
        <button type="button" onClick=${close}>cancel</button>
        <button type="submit" class="primary">${action}</button>
      </p>
    </form>
  </dialog>`;
}

/** What a command does, in a sentence. @param {Action} action @param {RolloutState} state @param {string} [next] */
function effectOf(action, state, next) {
  const { canary, stable } = state.rollout.spec;
  switch (action) {
    case "pause":
      return `The rollout stays at ${stepWords(state)}. Checks continue, and a failed check rolls it back.`;
    case "resume":
      return `The rollout continues at ${stepWords(state)}. Evidence is collected again from zero.`;
    case "promote":
      return `The rollout leaves ${stepWords(state)} without waiting for time and evidence. It still waits until the proxies run the step.${next ? ` Next: ${next}.` : ""}`;
    default:
      return `All users of ${canary} move back to ${stable} at once, and the rollout ends.`;
  }
}
