import type { Sample, Source } from "./registry.ts";

/** The pods that registered themselves: how many there are, and what happened to them at this replica. */
export interface RegisteredPods {
  pods(): { route: string; variant: string; state: string; count: number }[];
  events(): [event: string, count: number][];
}

/** @param tells whether this replica exports what all replicas know */
export function registeredMetrics(
  { pods, events }: RegisteredPods,
  tells: () => boolean,
): Source[] {
  return [
    {
      name: "weir_registered_pods",
      help: "Pods that registered themselves, by state (ready, draining).",
      type: "gauge",
      collect: (): Sample[] =>
        (tells() ? pods() : []).map(({ count, ...labels }) => ({ labels, value: count })),
    },
    {
      name: "weir_registrations_total",
      help: "Calls and ends of registrations at this replica: join, renew, drain, leave, expire, refuse.",
      type: "counter",
      collect: (): Sample[] => events().map(([event, value]) => ({ labels: { event }, value })),
    },
  ];
}
