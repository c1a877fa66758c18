import type { KeySource } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import type { Report } from "../problem.ts";

/** Reports sources of keys that name no key, or one that a client cannot set. */
export function checkSources(sources: readonly KeySource[], path: string, report: Report): void {
  sources.forEach(({ source }, index) => {
    if (source.case === undefined || source.value === false || source.value === "")
      report(
        "one-of",
        `${path}[${index}]`,
        "a key source must have exactly one of header, apiKey, sourceIp, san, tenant",
      );
    else if (source.case === "header" && controlHeaders.includes(source.value))
      report(
        "control-header",
        `${path}[${index}].header`,
        `header ${source.value} is set by weir and cannot identify the caller: use another header`,
      );
  });
}
