import { html } from "./html.js";

export function Proxies({ proxies, loading }) {
  return html`<section aria-labelledby="proxies">
    <h2 id="proxies">Proxies</h2>
    ${!loading && proxies.length === 0 && html`<p class="empty">no Envoy has connected yet: <code>weir bootstrap --node ID</code> prints its bootstrap</p>`}
    ${
      proxies.length > 0 &&
      html`<div class="scroll"><table>
      <caption class="hidden">connected proxies</caption>
      <thead><tr>
        <th scope="col">node</th><th scope="col">Envoy</th><th scope="col">state</th>
        <th scope="col">revision its filters report</th><th scope="col">acknowledged</th>
      </tr></thead>
      <tbody>${proxies.map((each) => html`<${ProxyRow} key=${each.node} ...${each} />`)}</tbody>
    </table></div>`
    }
  </section>`;
}

function ProxyRow({ node, version, connected, inSync, reportedRevision, resources = [] }) {
  const refused = resources.filter((each) => each.nackMessage);
  const word = !connected ? "away" : refused.length > 0 ? "refused" : inSync ? "in sync" : "behind";
  return html`<tr>
    <th scope="row"><code>${node}</code></th>
    <td>${version}</td>
    <td><span class=${`dot ${connected && inSync ? "ok" : "bad"}`}></span> ${word}</td>
    <td><code>${reportedRevision || "none yet"}</code></td>
    <td>
      ${resources.map(
        (
          each,
        ) => html`<span class="tag" title=${`sent ${each.sentVersion}, acknowledged ${each.ackedVersion || "none"}`}>
        ${each.type} ${each.ackedVersion && each.ackedVersion === each.sentVersion ? "✓" : "…"}</span> `,
      )}
      ${refused.map((each) => html`<p class="nack">${each.type} refused: ${each.nackMessage}</p>`)}
    </td>
  </tr>`;
}
