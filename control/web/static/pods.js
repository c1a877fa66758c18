import { usePolled } from "./data.js";
import { amountOf, count, percent, whole } from "./format.js";
import { html } from "./html.js";

/** @import { PodLoadJson, ObservedLoadJson } from "../../gen/weir/v1/signals_pb.ts" */

/** From here on a pod's queue grows and users wait. */
const fullPercent = 90;

/** How busy the pods of a route are, as they say themselves. @param {{ name: string }} of */
export function Pods({ name }) {
  const { answer } = usePolled("SignalService/ListPods", { name }, 3000);
  if (answer === undefined) return null;
  const { read = false, pods = [], observed = [] } = answer;
  return html`<h3>Pods</h3><${List} name=${name} read=${read} pods=${pods} /><${Saturation} name=${name} pods=${pods} observed=${observed} />`;
}

/** @param {{ name: string, read: boolean, pods: PodLoadJson[] }} of */
function List({ name, read, pods }) {
  if (!read)
    return html`<p class="empty">the control service was started without <code>--pod-metrics</code>: it does not read how busy the pods are</p>`;
  if (pods.length === 0)
    return html`<p class="empty">the route has no endpoints to read metrics from: use kubectl to see its pods</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="list of pods"><table>
    <caption class="hidden">pods of ${name}</caption>
    <thead><tr>
      <th scope="col">pod</th><th scope="col">variant</th><th scope="col" class="number">running</th>
      <th scope="col" class="number">waiting</th><th scope="col" class="number">key-value cache</th><th scope="col" class="number">saturation</th><th scope="col">state</th>
    </tr></thead>
    <tbody>${pods.map((each) => html`<${PodRow} key=${each.endpoint} ...${each} />`)}</tbody>
  </table></div>`;
}

/** @type {Record<string, string>} */
const sources = { answers: "pods' answers", estimate: "proxies' estimate" };

/**
 * How busy the pods are by who says it; 100 % is the route's mark.
 * @param {{ name: string, pods: PodLoadJson[], observed: ObservedLoadJson[] }} of
 */
function Saturation({ name, pods, observed }) {
  /** @type {{ of: string, value: number, by: string, many: string }[]} */
  const rows = [
    ...[...new Set(pods.map((each) => each.variant ?? ""))].flatMap((variant) => {
      const told = pods.filter(
        (each) => each.variant === variant && each.saturationPercent !== undefined,
      );
      if (told.length === 0) return [];
      const sum = told.reduce((all, each) => all + amountOf(each.saturationPercent), 0);
      const many = count(told.length, "pod");
      return [{ of: variant, value: sum / told.length, by: "pods' metrics", many }];
    }),
    ...observed.map(({ source = "", saturationPercent, proxies = 0 }) => ({
      of: "all variants",
      value: amountOf(saturationPercent),
      by: sources[source] ?? source,
      many: `${proxies} ${proxies === 1 ? "proxy" : "proxies"}`,
    })),
  ];
  if (rows.length === 0) return null;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="load by source"><table>
    <caption class="hidden">load of the pods of ${name} by source</caption>
    <thead><tr><th scope="col">load of</th><th scope="col" class="number">saturation</th><th scope="col">source</th><th scope="col">reported by</th></tr></thead>
    <tbody>${rows.map(
      ({ of, value, by, many }) => html`<tr key=${`${of} ${by}`}>
      <th scope="row">${of}</th><td class="number">${percent(value)}</td><td>${by}</td><td>${many}</td>
    </tr>`,
    )}</tbody>
  </table></div>`;
}

/** @param {PodLoadJson} of */
function PodRow({
  endpoint,
  variant,
  running,
  waiting,
  kvCachePercent,
  saturationPercent,
  problem,
}) {
  const saturated = amountOf(waiting) > 0 || amountOf(kvCachePercent) >= fullPercent;
  const told = waiting === undefined ? "queue not reported" : "has capacity";
  const word = problem || (saturated ? "saturated" : told);
  return html`<tr>
    <th scope="row"><code>${endpoint}</code></th>
    <td>${variant}</td>
    <td class="number">${whole(running)}</td>
    <td class="number">${whole(waiting)}</td>
    <td class="number">${inPercent(kvCachePercent)}</td>
    <td class="number">${inPercent(saturationPercent)}</td>
    <td><span class=${`dot ${word === "has capacity" ? "ok" : "bad"}`}></span> ${word}</td>
  </tr>`;
}

/** A share without a fraction. @param {import("./format.js").Measured} value */
function inPercent(value) {
  return typeof value === "number" ? `${Math.round(value)} %` : whole(value);
}
