import { perSecond } from "./format.js";
import { html } from "./html.js";

/** @import { TenantSignalsJson, TierSignalsJson } from "../../gen/weir/v1/signals_pb.ts" */

/**
 * Requests within and beyond the limits, by tier, with the reasons, and by tenant.
 * @param {{ tiers: TierSignalsJson[], tenants: TenantSignalsJson[] }} of
 */
export function Tiers({ tiers, tenants }) {
  if (tiers.length === 0) return null;
  return html`<h3>Tiers</h3><div class="scroll" tabindex="0" role="region" aria-label="list of tiers"><table>
    <caption class="hidden">requests by tier</caption>
    <thead><tr>
      <th scope="col">tier</th><th scope="col" class="number">admitted/s</th>
      <th scope="col" class="number">refused/s</th><th scope="col">why</th>
    </tr></thead>
    <tbody>${tiers.map(
      ({ tier, admittedPerSecond, refusedPerSecond, refusals = [] }) => html`<tr key=${tier}>
      <th scope="row">${tier || "whole route"}</th>
      <td class="number">${perSecond(admittedPerSecond)}</td>
      <td class="number">${perSecond(refusedPerSecond)}</td>
      <td>${refusals.map((each) => `${each.code} ${perSecond(each.perSecond)}`).join(", ") || "–"}</td></tr>`,
    )}</tbody>
  </table></div>
  ${
    tenants.length === 0
      ? html`<p class="quiet">no request of a known tenant was refused in the last minute</p>`
      : html`<h3>Tenants refused</h3><div class="scroll" tabindex="0" role="region" aria-label="list of tenants"><table>
    <caption class="hidden">refusals by tenant</caption>
    <thead><tr><th scope="col">tenant</th><th scope="col" class="number">refused/s</th></tr></thead>
    <tbody>${tenants.map(
      (each) => html`<tr key=${each.tenant}><th scope="row">${each.tenant}</th>
      <td class="number">${perSecond(each.refusedPerSecond)}</td></tr>`,
    )}</tbody>
  </table></div>`
  }`;
}
