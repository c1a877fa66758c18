import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "./api.js";
import { html } from "./html.js";

/** Asks for new weights and a reason, shows who would move and what changes, and shifts on confirmation. */
export function ShiftDialog({ state, name, proposed = {}, why = "", close }) {
  const dialog = useRef(null);
  const [weights, setWeights] = useState(() => ({ ...currentWeights(state), ...proposed }));
  const [preview, setPreview] = useState({});
  const [failure, setFailure] = useState("");
  // The etag the dialog was opened with: a change made meanwhile by someone else is not overwritten.
  const [etag] = useState(state.etag);

  useEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  useEffect(() => {
    let stale = false;
    planWeights(state.route, weights).then((next) => stale || setPreview(next));
    return () => {
      stale = true;
    };
  }, [JSON.stringify(weights)]);

  const submit = async (event) => {
    event.preventDefault();
    const reason = new FormData(event.target).get("reason");
    try {
      await call("RouteService/ShiftWeights", { name, weights, etag, reason });
      close();
    } catch (error) {
      setFailure(error.message);
    }
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="shift-title">
    <form onSubmit=${submit}>
      <h3 id="shift-title">Shift ${name}</h3>
      ${Object.entries(weights).map(
        ([variant, weight]) => html`<label key=${variant}>${variant}, percent
        <input type="number" min="0" max="100" step="0.01" required value=${weight}
          onInput=${({ target }) => setWeights((before) => ({ ...before, [variant]: Number(target.value) }))} />
      </label>`,
      )}
      <label>reason <input name="reason" required maxlength="500" placeholder="kept in the audit" value=${why} /></label>
      <${Preview} ...${preview} />
      ${failure && html`<p role="alert" class="nack">${failure}</p>`}
      <p class="actions">
        <button type="button" onClick=${close}>cancel</button>
        <button type="submit" class="primary" disabled=${!preview.changed || preview.error}>shift</button>
      </p>
    </form>
  </dialog>`;
}

function currentWeights({ route }) {
  const movable = route.spec.variants.filter((each) => each.name !== route.spec.shadow?.variant);
  return Object.fromEntries(movable.map((each) => [each.name, each.weight ?? 0]));
}

/** What giving a route these weights would change and whom it would move; `error` when it is refused. */
export async function planWeights(route, weights) {
  const variants = route.spec.variants.map((each) => ({
    ...each,
    weight: weights[each.name] ?? each.weight ?? 0,
  }));
  try {
    return await call("RouteService/PlanRoute", {
      route: { ...route, spec: { ...route.spec, variants } },
    });
  } catch (error) {
    return { error: error.problems?.map((each) => each.message).join("; ") || error.message };
  }
}

/** Who moves and what changes, of a plan. */
export function Preview({ error, changed, moves = [], diff = "" }) {
  if (error) return html`<p class="nack" role="status">${error}</p>`;
  if (!changed) return html`<p role="status">no change</p>`;
  return html`<div role="status">
    <p>users who change variant:</p>
    <ul>${moves.map((each) => html`<li>${each.percent} % from ${each.from} to ${each.to}</li>`)}</ul>
    ${diff && html`<details><summary>what changes in the document</summary><pre tabindex="0">${diff}</pre></details>`}
  </div>`;
}
