import type { RouteSpec } from "../gen/weir/v1/route_pb.ts";
import { shadowHeaders, variantHeader } from "../route/index.ts";
import type { Lint } from "./finding.ts";

const path = "spec.onFilterFailure";

/** What only several documents show: one filter serves all of their routes. */
export const passHasNoEffect = {
  id: "pass-has-no-effect",
  severity: "warning",
  reason: "one filter serves all these routes, and the strictest setting applies",
} as const;

/** Lints about requests that pass while a filter is away. */
export const failureLints: readonly Lint[] = [
  {
    id: "pass-without-limits",
    severity: "warning",
    reason:
      "a request that makes the filter trap removes the limits from a worker until its configuration changes or the proxy restarts",
    check: ({ spec }) => {
      const limits = spec?.onFilterFailure === "pass" ? limitsOf(spec) : [];
      return limits.length > 0
        ? [
            {
              path,
              message: `onFilterFailure pass: ${limits.join(" and ")} ${limits.length > 1 ? "do" : "does"} not apply while the filter is down`,
            },
          ]
        : [];
    },
  },
  {
    id: "pass-believes-clients",
    severity: "warning",
    reason:
      "the filters remove the control headers that clients send; without the filters, routes and pods trust what clients send",
    check: ({ spec }) => {
      const believed = spec?.onFilterFailure === "pass" ? believedOf(spec) : [];
      return believed.length > 0
        ? [
            {
              path,
              message: `onFilterFailure pass: clients may set ${believed.join(", ")} while the filter is down`,
            },
          ]
        : [];
    },
  },
];

/** Fields whose bounds the filters keep; rateLimit.perConnection is Envoy's own. */
function limitsOf({ rateLimit, shadow }: RouteSpec): string[] {
  return [
    ...(rateLimit ? ["rateLimit"] : []),
    ...(shadow?.maxTokens === undefined ? [] : ["shadow.maxTokens"]),
  ];
}

function believedOf(spec: RouteSpec): string[] {
  const { canary, rateLimit, shadow, variants } = spec;
  return [
    ...(canary && variants.length > 1 ? [variantHeader] : []),
    ...(shadow ? shadowHeaders(spec) : []),
    ...(rateLimit?.forward?.tenant ? ["x-weir-tenant"] : []),
    ...(rateLimit?.forward?.tier ? ["x-weir-tier"] : []),
  ];
}
