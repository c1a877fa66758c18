import type { Attach, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

/** What is wrong with which proxies of a mesh get the filters, and what they tell. */
export function checkAttachments(spec: RouteSpec, report: Report): void {
  if (spec.attach) checkAttach(spec.attach, "spec.attach", spec, report);
  else if (spec.alsoAttach.length > 0)
    report("missing-field", "spec.attach", "alsoAttach comes beside attach, which is missing");
  spec.alsoAttach.forEach((attach, index) => {
    checkAttach(attach, `spec.alsoAttach[${index}]`, spec, report);
  });
  if (spec.mesh?.telemetry && !spec.attach)
    report(
      "missing-field",
      "spec.attach",
      "mesh.telemetry is that of the attached proxies: name them",
    );
}

const byReference = ["Service", "ServiceEntry"];

function checkAttach(attach: Attach, path: string, spec: RouteSpec, report: Report): void {
  const selects = Object.keys(attach.selector).length > 0;
  if (selects === attach.targetRefs.length > 0)
    report("one-of", path, `${path.slice(5)} must have exactly one of selector, targetRefs`);
  if (attach.side === "waypoint" && attach.targetRefs.length === 0)
    report("waypoint-selector", `${path}.side`, "a waypoint takes targetRefs, never a selector");
  if ((attach.side === "client" || attach.side === "server") && attach.targetRefs.length > 0)
    report(
      "sidecar-reference",
      `${path}.side`,
      `sidecars (side ${attach.side}) take a selector, never targetRefs`,
    );
  const mixed = attach.targetRefs.some(({ kind }) => byReference.includes(kind));
  if (mixed && attach.side === "gateway")
    report("one-of", `${path}.side`, "targetRefs to a Service are a waypoint's, not a gateway's");
  attach.filters.forEach((filter, index) => {
    if (spec[filter as "canary" | "rateLimit" | "shadow" | "compression"] === undefined)
      report(
        "filter-not-asked",
        `${path}.filters[${index}]`,
        `filter ${filter} has nothing to do: the route has no spec.${filter}`,
      );
    if (attach.filters.indexOf(filter) < index)
      report("duplicate-filter", `${path}.filters[${index}]`, `filter ${filter} is there twice`);
  });
}
