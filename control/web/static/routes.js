import { useState } from "preact/hooks";
import { amountOf, count, milliseconds, percent, perSecond } from "./format.js";
import { html, valueOf } from "./html.js";

/** @import { RouteSignalsJson } from "../../gen/weir/v1/signals_pb.ts" */
/** @import { RouteState } from "../answers.ts" */

/** Rows shown before one asks for more. */
const firstRows = 50;

/**
 * All routes with their signals; one links to its page.
 * @param {{ routes: ReadonlyMap<string, RouteState>, signals?: RouteSignalsJson[], loading: boolean }} of
 */
export function Routes({ routes, signals, loading }) {
  const [word, setWord] = useState("");
  const [most, setMost] = useState(firstRows);
  const byName = new Map((signals ?? []).map((each) => [each.name, each]));
  const found = [...routes]
    .filter(
      ([name, { route }]) =>
        name.includes(word) || route.spec.hosts.some((host) => host.includes(word)),
    )
    .sort(([a], [b]) => a.localeCompare(b));
  return html`<section aria-labelledby="routes">
    <h2 id="routes">Routes</h2>
    ${loading && html`<p class="empty">loading ...</p>`}
    ${!loading && routes.size === 0 && html`<p class="empty">no routes yet: <code>weir apply -f route.yaml</code></p>`}
    ${
      routes.size > 0 &&
      html`
      <p class="tools">
        <label>find <input type="search" value=${word} placeholder="name or host" onInput=${(/** @type {InputEvent} */ event) => setWord(valueOf(event))} /></label>
        <span role="status">${found.length === routes.size ? count(routes.size, "route") : `${found.length} of ${routes.size} routes`}</span>
      </p>
      <div class="scroll" tabindex="0" role="region" aria-label="list of routes"><table>
        <caption class="hidden">routes</caption>
        <thead><tr>
          <th scope="col">route</th><th scope="col">weights</th><th scope="col" class="number">requests/s</th>
          <th scope="col" class="number">errors</th><th scope="col" class="number">first token p95</th>
          <th scope="col" class="number">tokens/s</th><th scope="col" class="number">refused/s</th><th scope="col">applied</th>
        </tr></thead>
        <tbody>${found.slice(0, most).map(([name, state]) => html`<${RouteRow} key=${name} name=${name} state=${state} signals=${byName.get(name)} />`)}</tbody>
      </table></div>
      ${found.length > most && html`<p><button onClick=${() => setMost(most + 2 * firstRows)}>show more</button></p>`}`
    }
  </section>`;
}

/** @param {{ name: string, state: RouteState, signals?: RouteSignalsJson }} of */
function RouteRow({ name, state, signals }) {
  const { hosts, variants } = state.route.spec;
  const total = signals?.total ?? {};
  const refused = (signals?.tiers ?? []).reduce(
    (sum, each) => sum + amountOf(each.refusedPerSecond),
    0,
  );
  return html`<tr>
    <th scope="row"><a href=${`#/routes/${name}`}>${name}</a><br /><span class="quiet">${hosts.join(", ")}</span></th>
    <td>${variants.map((each) => html`<span class="tag">${each.name} ${each.weight ?? 0}</span> `)}</td>
    <td class="number">${perSecond(total.requestsPerSecond)}</td>
    <td class="number">${percent(total.errorPercent)}</td>
    <td class="number">${milliseconds(total.timeToFirstTokenMs?.p95)}</td>
    <td class="number">${perSecond(total.tokensPerSecond)}</td>
    <td class="number">${perSecond(refused)}</td>
    <td><${AppliedWord} ...${signals ?? {}} /></td>
  </tr>`;
}

/** How many proxies run what is stored, with a mark that is not only a colour. @param {{ wanted?: number, applied?: number }} of */
export function AppliedWord({ wanted = 0, applied = 0 }) {
  if (wanted === 0) return html`<span class="quiet">no proxy</span>`;
  return html`<span class="nowrap"><span class=${`dot ${applied === wanted ? "ok" : "bad"}`}></span> ${applied} of ${wanted}</span>`;
}
