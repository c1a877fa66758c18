import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Problem } from "../../route/index.ts";
import { rulesOf } from "../../route/index.ts";
import { checkForIstio } from "./check.ts";

/** Rules of one HTTPRoute (its CRD). */
const maxRules = 16;

/** What is not a fault there, or is another one. */
const ofVirtualServices = new Set([
  "pool-needs-http-route",
  "variant-labels-missing",
  "variant-labels-same",
  "host-star-in-mesh",
]);

/** What an HTTPRoute of the Gateway API cannot express, or Istio does not do with one. */
export function checkForGatewayApi(
  route: InferenceRoute,
  { gatewayApiChannel }: { gatewayApiChannel?: "standard" | "experimental" | undefined } = {},
): Problem[] {
  const spec = route.spec;
  if (spec === undefined) return checkForIstio(route);
  const found = checkForIstio(route).filter(({ code }) => !ofVirtualServices.has(code));
  const refuse = (code: string, path: string, message: string) =>
    found.push({ code, path, message });
  checkBackends(spec, refuse);
  const rules = rulesOf(route).length;
  if (rules > maxRules)
    refuse(
      "http-route-rules",
      "spec.variants",
      `the route needs ${rules} rules, and an HTTPRoute has at most ${maxRules}: use fewer variants`,
    );
  if (spec.fault)
    refuse(
      "gateway-api-fault",
      "spec.fault",
      "the Gateway API does not support faults: render with --target istio",
    );
  if (spec.cors)
    refuse(
      "gateway-api-cors",
      "spec.cors",
      "not every implementation of the Gateway API supports CORS: render with --target istio",
    );
  if (spec.mesh?.delegate)
    refuse(
      "gateway-api-delegate",
      "spec.mesh.delegate",
      "the Gateway API does not support delegation: render with --target istio",
    );
  if (spec.service?.externalHost)
    refuse(
      "gateway-api-external",
      "spec.service.externalHost",
      "an HTTPRoute cannot route to a ServiceEntry: render with --target istio",
    );
  if ((spec.resilience?.retries?.attempts ?? 0) > 0 && gatewayApiChannel !== "experimental")
    refuse(
      "gateway-api-retries",
      "spec.resilience.retries",
      "retries exist only in the experimental channel of the Gateway API: render with --gateway-api-channel experimental",
    );
  if (spec.resilience?.firstByteTimeout)
    refuse(
      "gateway-api-first-byte",
      "spec.resilience.firstByteTimeout",
      "the Gateway API does not support firstByteTimeout: leave it out, or render with --target istio",
    );
  const { perTryTimeout } = spec.resilience?.retries ?? {};
  const { timeout } = spec.resilience ?? {};
  if (perTryTimeout && timeout && millis(perTryTimeout) > millis(timeout))
    refuse(
      "gateway-api-try-timeout",
      "spec.resilience.retries.perTryTimeout",
      "perTryTimeout must not be longer than timeout in the Gateway API",
    );
  return found;
}

function millis({ seconds, nanos }: { seconds: bigint; nanos: number }): number {
  return Number(seconds) * 1000 + nanos / 1_000_000;
}

/** The Gateway API has no subsets: with several variants, each needs a backend of its own. */
function checkBackends(
  { variants }: RouteSpec,
  refuse: (code: string, path: string, message: string) => void,
): void {
  if (variants.length < 2) return;
  const seen = new Map<string, string>();
  for (const [index, { inferencePool, name, service }] of variants.entries()) {
    const backend = service || inferencePool;
    const path = `spec.variants[${index}]`;
    if (backend === "")
      refuse(
        "variant-backend-missing",
        path,
        `variant ${name} needs service or inferencePool: the Gateway API has no subsets`,
      );
    const twin = seen.get(`${inferencePool !== ""} ${backend}`);
    if (backend !== "" && twin !== undefined)
      refuse(
        "variant-backend-same",
        path,
        `variants ${name} and ${twin} have the same backend ${backend}`,
      );
    seen.set(`${inferencePool !== ""} ${backend}`, name);
  }
}
