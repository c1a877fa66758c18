import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "./api.js";
import { html, valueOf } from "./html.js";
import { failureOf } from "./outcome.js";

/** @import { AnswerOf, Route, RouteState } from "../answers.ts" */

/** @typedef {Record<string, number>} Weights in percent, by variant */
/** @typedef {AnswerOf<"RouteService/PlanRoute"> & { error?: string }} Plan */

/**
 * Asks for new weights and a reason, shows who would move and what changes, and shifts on confirmation.
 * @param {{ state: RouteState, name: string, proposed?: Weights, why?: string, close: () => void }} of
 */
export function ShiftDialog({ state, name, proposed = {}, why = "", close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [weights, setWeights] = useState(() => ({ ...weightsOf(state), ...proposed }));
  const [preview, setPreview] = useState(/** @type {Plan} */ ({}));
  const [failure, setFailure] = useState("");
  // The etag the dialog was opened with: a change made meanwhile by someone else is not overwritten.
  const [etag] = useState(state.etag);

  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  useEffect(() => {
    let stale = false;
    planWeights(state.route, weights).then((next) => {
      if (!stale) setPreview(next);
    });
    return () => {
      stale = true;
    };
  }, [JSON.stringify(weights)]);

  const submit = async (/** @type {SubmitEvent & { currentTarget: HTMLFormElement }} */ event) => {
    event.preventDefault();
    const reason = String(new FormData(event.currentTarget).get("reason"));
    try {
      await call("RouteService/ShiftWeights", { name, weights, etag, reason });
      close();
    } catch (error) {
      setFailure(failureOf(error).message);
    }
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="shift-title">
    <form onSubmit=${submit}>
      <h3 id="shift-title">Shift ${name}</h3>
      ${Object.entries(weights).map(
        ([variant, weight]) => html`<label key=${variant}>${variant}, percent
        <input type="number" min="0" max="100" step="0.01" required value=${weight}
          onInput=${(/** @type {InputEvent} */ event) => setWeights((before) => ({ ...before, [variant]: Number(valueOf(event)) }))} />
      </label>`,
      )}
      <label>reason <input name="reason" required maxlength="500" placeholder="recorded in the audit" value=${why} /></label>
      <${Preview} ...${preview} />
      ${failure && html`<p role="alert" class="nack">${failure}</p>`}
      <p class="actions">
        <button type="button" onClick=${close}>cancel</button>
        <button type="submit" class="primary" disabled=${!preview.changed || preview.error}>shift</button>
      </p>
    </form>
  </dialog>`;
}

/** The weights that can be shifted: a shadow has none. @param {RouteState} state @returns {Weights} */
export function weightsOf({ route }) {
  const movable = route.spec.variants.filter((each) => each.name !== route.spec.shadow?.variant);
  return Object.fromEntries(movable.map((each) => [each.name, each.weight ?? 0]));
}

/**
 * What giving a route these weights would change and whom it would move; `error` when it is refused.
 * @param {Route} route @param {Weights} weights
 * @returns {Promise<Plan>}
 */
export async function planWeights(route, weights) {
  const variants = route.spec.variants.map((each) => ({
    ...each,
    weight: weights[each.name] ?? each.weight ?? 0,
  }));
  try {
    return await call("RouteService/PlanRoute", {
      route: { ...route, spec: { ...route.spec, variants } },
    });
  } catch (thrown) {
    const { problems, message } = failureOf(thrown);
    return { error: problems?.map((each) => each.message).join("; ") || message };
  }
}

/** Who moves and what changes, of a plan. @param {Plan} plan */
export function Preview({ error, changed, moves = [], diff = "" }) {
  if (error) return html`<p class="nack" role="status">${error}</p>`;
  if (!changed) return html`<p role="status">no change</p>`;
  return html`<div role="status">
    <p>users who change variant:</p>
    <ul>${moves.map((each) => html`<li>${each.percent} % from ${each.from} to ${each.to}</li>`)}</ul>
    ${diff && html`<details><summary>what changes in the document</summary><pre tabindex="0">${diff}</pre></details>`}
  </div>`;
}
