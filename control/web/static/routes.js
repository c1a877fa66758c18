import { useState } from "preact/hooks";
import { html } from "./html.js";
import { ShiftDialog } from "./shift-dialog.js";

export function Routes({ routes, loading }) {
  return html`<section aria-labelledby="routes">
    <h2 id="routes">Routes</h2>
    ${loading && html`<p class="empty">loading ...</p>`}
    ${!loading && routes.length === 0 && html`<p class="empty">no routes yet: <code>weir apply -f route.yaml</code></p>`}
    ${routes.map((each) => html`<${Route} key=${routeName(each)} ...${each} />`)}
  </section>`;
}

export function routeName({ state }) {
  const { namespace, name } = state.route.metadata;
  return `${namespace || "default"}/${name}`;
}

function Route({ state, applied, traffic }) {
  const [shifting, setShifting] = useState(false);
  const name = routeName({ state });
  const { hosts, variants, shadow } = state.route.spec;
  return html`<article class="route">
    <h3>${name}</h3>
    <p class="hosts">${hosts.join(", ")}</p>
    <table>
      <caption class="hidden">variants of ${name}</caption>
      <thead>
        <tr><th scope="col">variant</th><th scope="col">weight</th><th scope="col" class="number">requests/s</th><th scope="col" class="number">requests</th></tr>
      </thead>
      <tbody>
        ${variants.map(
          (variant) => html`<${Variant}
          key=${variant.name} ...${variant} shadow=${variant.name === shadow?.variant}
          traffic=${(traffic ?? []).find((each) => each.variant === variant.name)} />`,
        )}
      </tbody>
    </table>
    <${Applied} ...${applied ?? {}} />
    <button onClick=${() => setShifting(true)}>shift weights ...</button>
    ${shifting && html`<${ShiftDialog} state=${state} name=${name} close=${() => setShifting(false)} />`}
  </article>`;
}

function Variant({ name, weight = 0, shadow, traffic }) {
  return html`<tr>
    <th scope="row">${name}${shadow && html` <span class="tag">shadow</span>`}</th>
    <td class="weight"><span class="bar" style=${`width: ${weight}%`}></span><span>${weight} %</span></td>
    <td class="number">${(traffic?.requestsPerSecond ?? 0).toFixed(1)}</td>
    <td class="number">${Number(traffic?.requests ?? 0).toLocaleString()}</td>
  </tr>`;
}

function Applied({ wanted = 0, applied = 0, behind = [] }) {
  if (wanted === 0) return html`<p class="applied">no proxy is connected</p>`;
  const done = applied === wanted;
  return html`<div class="applied">
    <p><span class=${`dot ${done ? "ok" : "bad"}`}></span> applied on ${applied} of ${wanted}</p>
    ${behind.length > 0 && html`<ul>${behind.map((each) => html`<li><code>${each.node}</code>: ${each.reason}</li>`)}</ul>`}
  </div>`;
}
