import { useState } from "preact/hooks";
import { usePolled } from "./data.js";
import { when } from "./format.js";
import { html, valueOf } from "./html.js";

/** @import { Proxy } from "../answers.ts" */

const firstRows = 50;
/** What needs a look comes first. */
const order = ["refused", "behind", "away", "in sync"];

/** All proxies: what they run, and what they refused in their own words. */
export function Proxies() {
  const [word, setWord] = useState("");
  const [most, setMost] = useState(firstRows);
  const { answer, error, loading } = usePolled("FleetService/ListProxies", {}, 2000);
  const proxies = (answer?.proxies ?? []).map((each) => ({ ...each, word: stateOf(each) }));
  const found = proxies
    .filter(({ node, word: state }) => node.includes(word) || state.includes(word))
    .sort((a, b) => order.indexOf(a.word) - order.indexOf(b.word) || a.node.localeCompare(b.node));
  const counts = order
    .map((state) => ({ state, count: proxies.filter((each) => each.word === state).length }))
    .filter(({ count }) => count > 0);
  return html`<section aria-labelledby="proxies">
    <h2 id="proxies">Proxies</h2>
    ${loading && html`<p class="empty">loading ...</p>`}
    ${error && !answer && html`<p class="empty">cannot load: ${error.message}</p>`}
    ${answer && proxies.length === 0 && html`<p class="empty">no Envoy has connected yet: <code>weir bootstrap --node ID</code> prints its bootstrap</p>`}
    ${
      proxies.length > 0 &&
      html`
      <p class="tools">
        <label>find <input type="search" value=${word} placeholder="node or state" onInput=${(/** @type {InputEvent} */ event) => setWord(valueOf(event))} /></label>
        <span role="status">${counts.map(({ state, count }) => `${count} ${state}`).join(", ")}</span>
      </p>
      <div class="scroll" tabindex="0" role="region" aria-label="list of proxies"><table>
      <caption class="hidden">proxies</caption>
      <thead><tr>
        <th scope="col">node</th><th scope="col">Envoy</th><th scope="col">state</th><th scope="col">since</th>
        <th scope="col">revision its filters report</th><th scope="col">acknowledged</th>
      </tr></thead>
      <tbody>${found.slice(0, most).map((each) => html`<${ProxyRow} key=${`${each.node} ${each.since}`} ...${each} />`)}</tbody>
    </table></div>
    ${found.length > most && html`<p><button onClick=${() => setMost(most + 2 * firstRows)}>show more</button></p>`}`
    }
  </section>`;
}

/** @param {Proxy} proxy */
function stateOf({ connected, inSync, resources = [] }) {
  if (!connected) return "away";
  if (resources.some((each) => each.nackMessage)) return "refused";
  return inSync ? "in sync" : "behind";
}

/** @param {Proxy & { word: string }} of */
function ProxyRow({ node, version, word, since, reportedRevision, resources = [] }) {
  return html`<tr>
    <th scope="row"><code>${node}</code></th>
    <td>${version}</td>
    <td class="nowrap"><span class=${`dot ${word === "in sync" ? "ok" : "bad"}`}></span> ${word}</td>
    <td class="nowrap">${since && html`<time datetime=${since}>${when(since)}</time>`}</td>
    <td><code>${reportedRevision || "none yet"}</code></td>
    <td>
      ${resources.map((each) => {
        const acked = each.ackedVersion && each.ackedVersion === each.sentVersion;
        const title = `sent ${each.sentVersion}, acknowledged ${each.ackedVersion || "none"}`;
        return html`<span class="tag" title=${title}>${each.type} ${acked ? "✓" : "…"}</span> `;
      })}
      ${resources.filter((each) => each.nackMessage).map((each) => html`<p class="nack">${each.type} refused${each.refusedSince && html` since <time datetime=${each.refusedSince}>${when(each.refusedSince)}</time>`}: ${each.nackMessage}</p>`)}
    </td>
  </tr>`;
}
