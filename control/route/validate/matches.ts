import type { HeaderMatch } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

/** Reports matches that match nothing in particular. */
export function checkMatches(matches: readonly HeaderMatch[], at: string, report: Report): void {
  matches.forEach((match, index) => {
    if (match.value.case === undefined)
      report(
        "one-of",
        `${at}[${index}]`,
        "a match must have exactly one of exact, prefix, present",
      );
  });
}
