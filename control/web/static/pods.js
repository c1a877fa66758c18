import { usePolled } from "./data.js";
import { html } from "./html.js";

/** From here on a pod's queue grows and users wait. */
const fullPercent = 90;

/** How busy the pods of a route are, as they say themselves. */
export function Pods({ name }) {
  const { answer } = usePolled("SignalService/ListPods", { name }, 3000);
  if (answer === undefined) return null;
  const { read = false, pods = [] } = answer;
  if (!read)
    return html`<h3>Pods</h3><p class="empty">the control service was started without <code>--pod-metrics</code>: it does not ask the pods how busy they are</p>`;
  if (pods.length === 0)
    return html`<h3>Pods</h3><p class="empty">the route names no endpoints: ask Kubernetes how busy its pods are</p>`;
  return html`<h3>Pods</h3><div class="scroll" tabindex="0" role="region" aria-label="list of pods"><table>
    <caption class="hidden">pods of ${name}</caption>
    <thead><tr>
      <th scope="col">pod</th><th scope="col">variant</th><th scope="col" class="number">in work</th>
      <th scope="col" class="number">waiting</th><th scope="col" class="number">key-value cache</th><th scope="col">state</th>
    </tr></thead>
    <tbody>${pods.map((each) => html`<${PodRow} key=${each.endpoint} ...${each} />`)}</tbody>
  </table></div>`;
}

function PodRow({ endpoint, variant, running = 0, waiting = 0, kvCachePercent = 0, problem }) {
  const saturated = waiting > 0 || kvCachePercent >= fullPercent;
  const word = problem || (saturated ? "saturated" : "has room");
  const number = (value) => (problem ? "–" : Math.round(value).toLocaleString());
  return html`<tr>
    <th scope="row"><code>${endpoint}</code></th>
    <td>${variant}</td>
    <td class="number">${number(running)}</td>
    <td class="number">${number(waiting)}</td>
    <td class="number">${problem ? "–" : `${Math.round(kvCachePercent)} %`}</td>
    <td><span class=${`dot ${word === "has room" ? "ok" : "bad"}`}></span> ${word}</td>
  </tr>`;
}
