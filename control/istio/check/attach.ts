import type { Attach, InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { matches, type Problem } from "../../route/index.ts";
import { attachmentsOf, filtersAt, filtersOf, sideOf } from "../attach.ts";

/** What cannot be had where a route's filters attach. */
export function checkAttached(route: InferenceRoute): Problem[] {
  const asked = filtersOf(route);
  const attachments = attachmentsOf(route);
  if (attachments.length === 0) {
    if (asked.length === 0 && !matches(route)) return [];
    const message = `attach is required: select the proxies that load the filters, by selector or targetRefs`;
    return [problem("attach-missing", "spec.attach", message)];
  }
  const found = attachments.flatMap(({ attach, path }) => [
    ...checkEnvoyFilters(route, attach, path),
    ...checkSide(route, attach, path),
  ]);
  const done = new Set(attachments.flatMap(({ attach }) => filtersAt(route, attach)));
  for (const name of asked.filter((each) => !done.has(each))) {
    const message = `no attach point runs ${name}: add it to filters of attach or alsoAttach`;
    found.push(problem("filter-nowhere", `spec.${name}`, message));
  }
  return found;
}

/** Compressors and native limits come by EnvoyFilter, which not every attach point takes. */
function checkEnvoyFilters(route: InferenceRoute, attach: Attach, path: string): Problem[] {
  const found: Problem[] = [];
  const here = filtersAt(route, attach);
  const side = sideOf(route, attach);
  const wanted: [string, string][] = [];
  if (here.includes("compression")) wanted.push(["compression", "spec.compression"]);
  if (here.includes("rateLimit") && route.spec?.rateLimit?.perConnection)
    wanted.push(["rateLimit.perConnection", "spec.rateLimit.perConnection"]);
  for (const [name, at] of wanted) {
    if (side === "waypoint") {
      const index = attach.targetRefs.findIndex(({ kind }) => kind.startsWith("Service"));
      const which = index < 0 ? path : `${path}.targetRefs[${index}]`;
      const message = `${name} does not work at a waypoint (${which.slice(5)}), where istio supports no EnvoyFilter: attach to the gateway, or leave ${name.split(".")[0]} out`;
      found.push(problem(`${name.split(".").at(-1)}-at-waypoint`, at, message));
    } else if (side === "client" && name === "compression") {
      const message = `compression does not work at side client: the sidecar of the caller would compress only for the caller itself; attach compression to a gateway or side server`;
      found.push(problem("compression-at-client", at, message));
    }
  }
  return found;
}

/** A variant is chosen before a request is routed, so never beside the pods. */
function checkSide(route: InferenceRoute, attach: Attach, path: string): Problem[] {
  if (sideOf(route, attach) !== "server" || !filtersAt(route, attach).includes("canary")) return [];
  const message = `canary cannot run beside the pods (${path.slice(5)}.side server): the caller's proxy has already chosen the variant; use side client or gateway`;
  return [problem("canary-at-server", "spec.canary", message)];
}

function problem(code: string, path: string, message: string): Problem {
  return { code, path, message };
}
