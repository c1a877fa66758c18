import { useState } from "preact/hooks";
import { Audit } from "./audit.js";
import { Charts } from "./charts.js";
import { usePolled } from "./data.js";
import { amountOf, milliseconds, percent, perSecond } from "./format.js";
import { html } from "./html.js";
import { Pods } from "./pods.js";
import { Rollout } from "./rollout.js";
import { AppliedWord } from "./routes.js";
import { ShiftDialog, weightsOf } from "./shift-dialog.js";
import { Tiers } from "./tiers.js";

/** @import { RouteSignalsJson } from "../../gen/weir/v1/signals_pb.ts" */
/** @import { AuditEntry, Route as Document, RouteState, Variant } from "../answers.ts" */
/** @import { Weights } from "./shift-dialog.js" */

/**
 * One route: its variants and tiers with their signals, charts, and what was changed.
 * @param {{ name: string, state?: RouteState, loading: boolean }} of
 */
export function Route({ name, state, loading }) {
  const [shift, setShift] = useState(
    /** @type {{ proposed?: Weights, why?: string } | undefined} */ (undefined),
  );
  const { answer: signalsAnswer } = usePolled("SignalService/ListSignals", { name }, 2000);
  const { answer: history } = usePolled("SignalService/GetHistory", { name }, 5000);
  const { answer: audit } = usePolled("AuditService/ListAudit", { name, limit: 50 }, 3000);
  const { answer: detail } = usePolled("RouteService/GetRoute", { name }, 2000);
  if (state === undefined)
    return html`<section><p><a href="#/routes">all routes</a></p>
      <p class="empty" role="status">${loading ? "loading ..." : `there is no route ${name}`}</p></section>`;
  const { hosts, variants, shadow } = state.route.spec;
  const signals = signalsAnswer?.routes?.[0];
  const applied = detail?.applied ?? {};
  const { behind = [] } = applied;
  const before = weightsBefore(state, audit?.entries ?? []);
  return html`<section aria-labelledby="route">
    <p><a href="#/routes">all routes</a></p>
    <h2 id="route">${name}</h2>
    <p class="hosts">${hosts.join(", ")}</p>
    <${Variants} name=${name} variants=${variants} shadow=${shadow} signals=${signals} />
    <p class="applied"><${AppliedWord} ...${applied} /> proxies run the stored version</p>
    ${behind.length > 0 && html`<ul class="applied">${behind.slice(0, 20).map((each) => html`<li><code>${each.node}</code>: ${each.reason}</li>`)}</ul>`}
    <p class="tools">
      <button onClick=${() => setShift({})}>shift weights ...</button>
      ${before && html`<button onClick=${() => setShift({ proposed: before, why: "back to the previous weights" })}>back to ${show(before)} ...</button>`}
    </p>
    ${shift && html`<${ShiftDialog} state=${state} name=${name} ...${shift} close=${() => setShift(undefined)} />`}
    <${Rollout} name=${name} route=${state.route} entries=${audit?.entries ?? []} />
    <h3>The last fifteen minutes</h3>
    <${Charts} history=${history} />
    <${Tiers} tiers=${signals?.tiers ?? []} tenants=${signals?.tenants ?? []} />
    <${Pods} name=${name} />
    <${Audit} name=${name} />
  </section>`;
}

/** The newest weights of the same variants that differ from those in force. @param {RouteState} state @param {AuditEntry[]} entries */
function weightsBefore(state, entries) {
  const now = weightsOf(state);
  const keys = Object.keys(now).join();
  return entries
    .map(({ before }) => before && weightsOf(before))
    .find((each) => each && Object.keys(each).join() === keys && show(each) !== show(now));
}

/** @param {Weights} weights */
function show(weights) {
  return Object.entries(weights)
    .map(([variant, weight]) => `${variant} ${weight}`)
    .join(", ");
}

/** @param {{ name: string, variants: Variant[], shadow?: Document["spec"]["shadow"], signals?: RouteSignalsJson }} of */
function Variants({ name, variants, shadow, signals }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="list of variants"><table>
    <caption class="hidden">variants of ${name}</caption>
    <thead><tr>
      <th scope="col">variant</th><th scope="col">weight</th><th scope="col" class="number">requests/s</th>
      <th scope="col" class="number">errors</th><th scope="col" class="number">refused</th><th scope="col" class="number">waited</th><th scope="col" class="number">first token p50</th>
      <th scope="col" class="number">p95</th><th scope="col" class="number">gap p95</th><th scope="col" class="number">tokens/s</th>
    </tr></thead>
    <tbody>${variants.map(({ name: variant, weight = 0 }) => {
      const found = signals?.variants?.find((each) => each.variant === variant)?.signals ?? {};
      return html`<tr key=${variant}>
        <th scope="row">${variant}${variant === shadow?.variant && html` <span class="tag">shadow</span>`}</th>
        <td class="weight"><span class="bar" style=${`width: ${weight}%`}></span><span>${weight} %</span></td>
        <td class="number">${perSecond(found.requestsPerSecond)}</td>
        <td class="number">${percent(found.errorPercent)}</td>
        <td class="number">${percent(found.refusedPercent)}</td>
        <td class="number">${found.waitedSeconds === undefined ? "-" : `${found.waitedSeconds} s`}</td>
        <td class="number">${milliseconds(found.timeToFirstTokenMs?.p50)}</td>
        <td class="number">${milliseconds(found.timeToFirstTokenMs?.p95)}</td>
        <td class="number">${milliseconds(found.tokenGapMs?.p95)}</td>
        <td class="number">${perSecond(found.tokensPerSecond)}</td>
      </tr>`;
    })}</tbody>
  </table></div>
  ${shadow && html`<p class="quiet">${shadowWords(signals)}</p>`}`;
}

/** The share of the requests that is tagged, as it is measured. @param {RouteSignalsJson} [signals] */
function shadowWords({ total = {}, shadowPerSecond } = {}) {
  const all = amountOf(total.requestsPerSecond);
  const tagged = amountOf(shadowPerSecond);
  const share = all > 0 ? ` (${percent((100 * tagged) / all)} of all)` : "";
  return `${perSecond(shadowPerSecond)} requests/s${share} are tagged as shadow traffic`;
}
