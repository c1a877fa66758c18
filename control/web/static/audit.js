import { useState } from "preact/hooks";
import { usePolled } from "./data.js";
import { weights, when } from "./format.js";
import { html } from "./html.js";

const firstEntries = 20;
/** Older ones are for the command line: a page of thousands of rows helps no one. */
const mostEntries = 200;

/** What was changed, newest first: of one route, or of all when `name` is empty. @param {{ name?: string }} of */
export function Audit({ name = "" }) {
  const [limit, setLimit] = useState(firstEntries);
  const { answer, error, loading } = usePolled("AuditService/ListAudit", { name, limit }, 3000);
  const entries = answer?.entries ?? [];
  return html`<section aria-labelledby="audit">
    <h2 id="audit">Changes</h2>
    ${loading && html`<p class="empty">loading ...</p>`}
    ${error && !answer && html`<p class="empty">cannot load: ${error.message}</p>`}
    ${answer && entries.length === 0 && html`<p class="empty">no changes yet</p>`}
    ${
      entries.length > 0 &&
      html`<div class="scroll" tabindex="0" role="region" aria-label="list of changes"><table>
      <caption class="hidden">newest changes first</caption>
      <thead><tr>
        <th scope="col">when</th><th scope="col">action</th><th scope="col">route</th>
        <th scope="col">weights</th><th scope="col">who</th><th scope="col">why</th>
      </tr></thead>
      <tbody>${entries.map(
        (each) => html`<tr key=${each.sequence}>
        <td class="nowrap"><time datetime=${each.at}>${when(each.at)}</time></td>
        <td>${each.action}</td><td>${each.name}</td>
        <td>${each.before || each.after ? `${weights(each.before)} → ${weights(each.after)}` : "unchanged"}</td>
        <td>${each.principal}</td><td>${each.reason}</td>
      </tr>`,
      )}</tbody>
    </table></div>
    ${entries.length >= limit && limit < mostEntries && html`<p><button onClick=${() => setLimit(Math.min(limit * 5, mostEntries))}>show older</button></p>`}
    ${entries.length >= mostEntries && html`<p class="empty">older changes: <code>weir audit ${name} --limit 10000</code></p>`}`
    }
  </section>`;
}
