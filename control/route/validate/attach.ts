import type { Attach, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

/** Checks which proxies of a mesh get the filters, and their telemetry. */
export function checkAttachments(spec: RouteSpec, report: Report): void {
  if (spec.attach) checkAttach(spec.attach, "spec.attach", spec, report);
  else if (spec.alsoAttach.length > 0)
    report(
      "missing-field",
      "spec.attach",
      "alsoAttach adds to attach, which is missing: set spec.attach",
    );
  spec.alsoAttach.forEach((attach, index) => {
    checkAttach(attach, `spec.alsoAttach[${index}]`, spec, report);
  });
  if (spec.mesh?.telemetry && !spec.attach)
    report(
      "missing-field",
      "spec.attach",
      "mesh.telemetry applies to the attached proxies: set spec.attach",
    );
}

const byReference = ["Service", "ServiceEntry"];

function checkAttach(attach: Attach, path: string, spec: RouteSpec, report: Report): void {
  const selects = Object.keys(attach.selector).length > 0;
  if (selects === attach.targetRefs.length > 0)
    report("one-of", path, `${path.slice(5)} must have exactly one of selector, targetRefs`);
  if (attach.side === "waypoint" && attach.targetRefs.length === 0)
    report(
      "waypoint-selector",
      `${path}.side`,
      "side waypoint needs targetRefs instead of selector",
    );
  if ((attach.side === "client" || attach.side === "server") && attach.targetRefs.length > 0)
    report(
      "sidecar-reference",
      `${path}.side`,
      `side ${attach.side} needs selector instead of targetRefs`,
    );
  const mixed = attach.targetRefs.some(({ kind }) => byReference.includes(kind));
  if (mixed && attach.side === "gateway")
    report(
      "one-of",
      `${path}.side`,
      "targetRefs to a Service or ServiceEntry need side waypoint, not gateway",
    );
  attach.filters.forEach((filter, index) => {
    if (spec[filter as "canary" | "rateLimit" | "shadow" | "compression"] === undefined)
      report(
        "filter-not-asked",
        `${path}.filters[${index}]`,
        `filter ${filter} needs spec.${filter}, which the route does not set`,
      );
    if (attach.filters.indexOf(filter) < index)
      report("duplicate-filter", `${path}.filters[${index}]`, `filter ${filter} is listed twice`);
  });
}
