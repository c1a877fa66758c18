import { html } from "./html.js";

export function Audit({ entries }) {
  return html`<section aria-labelledby="audit">
    <h2 id="audit">Changes</h2>
    ${entries.length === 0 && html`<p class="empty">nothing has been changed yet</p>`}
    ${
      entries.length > 0 &&
      html`<div class="scroll"><table>
      <caption class="hidden">newest changes first</caption>
      <thead><tr>
        <th scope="col">when</th><th scope="col">what</th><th scope="col">route</th>
        <th scope="col">weights</th><th scope="col">who</th><th scope="col">why</th>
      </tr></thead>
      <tbody>${entries.map(
        (each) => html`<tr key=${each.sequence}>
        <td><time datetime=${each.at}>${new Date(each.at).toLocaleTimeString()}</time></td>
        <td>${each.action}</td><td>${each.name}</td>
        <td>${weights(each.before)} → ${weights(each.after)}</td>
        <td>${each.principal}</td><td>${each.reason}</td>
      </tr>`,
      )}</tbody>
    </table></div>`
    }
  </section>`;
}

function weights(state) {
  const variants = state?.route?.spec?.variants ?? [];
  return variants.length === 0
    ? "none"
    : variants.map((each) => `${each.name} ${each.weight ?? 0}`).join(", ");
}
