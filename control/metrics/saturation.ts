import type { Sample, Source } from "./registry.ts";

/** How busy pods are, 1000 being the mark: of each variant, and of a route to the proxies' own sources. */
export interface Loads {
  byVariant(): { route: string; variant: string; permille: number }[];
  observed: {
    of(route: string): { source: string; permille: number }[];
    routes(): string[];
  };
}

/**
 * How busy pods are, by source: of each variant by its pods' /metrics, and of a route as a whole by
 * what the proxies read in answers and estimate.
 * @param tells whether this replica exports what all replicas know
 */
export function saturationMetrics({ byVariant, observed }: Loads, tells: () => boolean): Source[] {
  return [
    {
      name: "weir_saturation",
      help: "Saturation of pods by source (metrics, answers, estimate); 1 is the route's threshold.",
      type: "gauge",
      collect: (): Sample[] => [
        ...byVariant().map(({ route, variant, permille }) => ({
          labels: { route, source: "metrics", variant },
          value: permille / 1000,
        })),
        ...(tells() ? observed.routes() : []).flatMap((route) =>
          observed.of(route).map(({ source, permille }) => ({
            labels: { route, source },
            value: permille / 1000,
          })),
        ),
      ],
    },
  ];
}
