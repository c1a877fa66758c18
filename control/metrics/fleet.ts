import type { Proxy } from "../gen/weir/v1/service_pb.ts";
import { resourceTypes } from "../xds/index.ts";
import type { Source } from "./registry.ts";

/** How far the proxies are. */
export function fleetMetrics(proxies: () => readonly Proxy[]): Source[] {
  return [
    {
      name: "weir_proxies",
      help: "Proxies by state: in_sync, behind, refused (their last configuration), away (disconnected), or reporting (Istio's proxies, whose filters report).",
      type: "gauge",
      collect() {
        const counts = { in_sync: 0, behind: 0, refused: 0, away: 0, reporting: 0 };
        for (const proxy of proxies()) counts[stateOf(proxy)]++;
        return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }));
      },
    },
    {
      name: "weir_proxies_refused",
      help: "Connected proxies that refuse their configuration, by xDS type.",
      type: "gauge",
      collect() {
        const refused = proxies().flatMap(({ connected, resources }) =>
          resources.flatMap(({ type, nackMessage }) =>
            connected && nackMessage !== "" ? [type] : [],
          ),
        );
        return resourceTypes.map(({ name }) => ({
          labels: { type: name },
          value: refused.filter((type) => type === name).length,
        }));
      },
    },
  ];
}

/** Istio configures it: it has no stream, and reports. */
export function isReporter({ connected, resources, reportedRevision }: Proxy): boolean {
  return !connected && resources.length === 0 && reportedRevision !== "";
}

function stateOf(proxy: Proxy) {
  const { connected, inSync, resources } = proxy;
  if (!connected) return isReporter(proxy) ? "reporting" : "away";
  if (resources.some(({ nackMessage }) => nackMessage !== "")) return "refused";
  return inSync ? "in_sync" : "behind";
}
