import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { routeName, shadowHeaderNames } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { type Manifest, metadataFor } from "../manifest.ts";
import { namespaceOf, objectName } from "../names.ts";

/**
 * The AuthorizationPolicy that keeps everything but tagged requests away from
 * the shadow variant's pods; undefined when the route does not ask for it.
 * It denies rather than allows, so that no other policy can open the door.
 */
export function authorizationPolicy(route: InferenceRoute): Manifest | undefined {
  const shadow = (route.spec as RouteSpec).shadow;
  if (shadow?.isolate === undefined) return undefined;
  const header = shadowHeaderNames(shadow).modeHeader;
  return {
    object: {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: metadataFor(`${objectName(route)}.shadow`, namespaceOf(route), [routeName(route)]),
      spec: {
        selector: { matchLabels: sortedRecord(shadow.isolate.selector) },
        action: "DENY",
        rules: [{ when: [{ key: `request.headers[${header}]`, notValues: ["true"] }] }],
      },
    },
    origins: [
      { path: [], text: `AuthorizationPolicy of ${routeName(route)}: spec.shadow.isolate` },
      { path: ["spec", "rules", 0], text: "spec.shadow.modeHeader: whatever is not tagged" },
    ],
  };
}
