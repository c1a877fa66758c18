import { useState } from "preact/hooks";
import { routeName, usePolled } from "./data.js";
import { count, when } from "./format.js";
import { html, valueOf } from "./html.js";
import { PhaseWord, stepWords } from "./rollout-words.js";

/** @import { Progress } from "../answers.ts" */

const firstRows = 50;
/** What needs a look comes first. */
const order = ["rolling-back", "paused", "running", "rolled-back", "abandoned", "succeeded"];

/** The newest rollout of every route; each links to its route. */
export function Rollouts() {
  const [word, setWord] = useState("");
  const [most, setMost] = useState(firstRows);
  const { answer, error, loading } = usePolled("RolloutService/ListRollouts", {}, 2000);
  const rollouts = (answer?.rollouts ?? []).map((each) => ({
    ...each,
    name: routeName(each.state.rollout),
  }));
  const found = rollouts
    .filter(({ name, state }) => name.includes(word) || state.phase.includes(word))
    .sort(
      (a, b) =>
        order.indexOf(a.state.phase) - order.indexOf(b.state.phase) || a.name.localeCompare(b.name),
    );
  return html`<section aria-labelledby="rollouts">
    <h2 id="rollouts">Rollouts</h2>
    ${loading && html`<p class="empty">loading ...</p>`}
    ${error && !answer && html`<p class="empty">cannot load: ${error.message}</p>`}
    ${answer && rollouts.length === 0 && html`<p class="empty">no rollouts yet: <code>weir rollout start -f rollout.yaml</code></p>`}
    ${
      rollouts.length > 0 &&
      html`
      <p class="tools">
        <label>find <input type="search" value=${word} placeholder="route or phase" onInput=${(/** @type {InputEvent} */ event) => setWord(valueOf(event))} /></label>
        <span role="status">${found.length === rollouts.length ? count(rollouts.length, "rollout") : `${found.length} of ${rollouts.length} rollouts`}</span>
      </p>
      <div class="scroll" tabindex="0" role="region" aria-label="list of rollouts"><table>
        <caption class="hidden">rollouts</caption>
        <thead><tr>
          <th scope="col">route</th><th scope="col">phase</th><th scope="col">step</th>
          <th scope="col">applied</th><th scope="col">since</th><th scope="col">why</th>
        </tr></thead>
        <tbody>${found.slice(0, most).map((each) => html`<${RolloutRow} key=${each.name} ...${each} />`)}</tbody>
      </table></div>
      ${found.length > most && html`<p><button onClick=${() => setMost(most + 2 * firstRows)}>show more</button></p>`}`
    }
  </section>`;
}

/** @param {Progress & { name: string }} of */
function RolloutRow({ name, state, proven = 0, wanted = 0 }) {
  return html`<tr>
    <th scope="row"><a href=${`#/routes/${name}`}>${name}</a></th>
    <td><${PhaseWord} phase=${state.phase} /></td>
    <td>${stepWords(state)}</td>
    <td class="nowrap">${wanted > 0 ? `${proven} of ${wanted}` : "–"}</td>
    <td class="nowrap"><time datetime=${state.stepStarted ?? state.started}>${when(state.stepStarted ?? state.started)}</time></td>
    <td>${state.reason}</td>
  </tr>`;
}
