import type { Violated } from "./violation.ts";

/** Standard deviations by which a split may differ from its weight by chance: one run in millions. */
const maxDeviations = 5.5;

/** No data-plane request fails, and the answered ones are split as the weights say. */
export function createDataPlane(violated: Violated) {
  const routes = new Map<string, { answered: number; surplus: number; variance: number }>();
  let failed = 0;

  return {
    failed(route: string, how: string): void {
      failed++;
      violated({ invariant: "data-plane", who: route, what: `a request failed: ${how}` });
    },
    /** @param share of the canary while the request ran, 0 to 1; undefined: it was being changed */
    answered(route: string, variant: string, share: number | undefined): void {
      if (share === undefined) return;
      const of = routes.get(route) ?? { answered: 0, surplus: 0, variance: 0 };
      routes.set(route, of);
      of.answered++;
      of.surplus += (variant === "canary" ? 1 : 0) - share;
      of.variance += share * (1 - share);
    },
    /** Requests by users drawn anew each time, so each goes to the canary by itself. */
    check(): void {
      for (const [route, { answered, surplus, variance }] of routes)
        if (Math.abs(surplus) > maxDeviations * Math.sqrt(variance) + 1)
          violated({
            invariant: "data-plane",
            who: `${route} split`,
            what: `${answered} requests gave the canary ${surplus.toFixed(1)} more than its weights, by chance at most ${(maxDeviations * Math.sqrt(variance) + 1).toFixed(1)}`,
          });
    },
    failures: () => failed,
  };
}
