import type { RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";
import { checkDuplicates } from "./duplicates.ts";
import { checkMatches } from "./matches.ts";

const path = "spec.compression";
const duplicate = { code: "duplicate-algorithm", noun: "algorithm" };

/** Checks a route's compression. */
export function checkCompression({ compression }: RouteSpec, report: Report): void {
  if (compression === undefined) return;
  const { algorithms } = compression;
  checkDuplicates(algorithms, `${path}.algorithms`, duplicate, report);
  compression.exceptions.forEach((exception, index) => {
    const at = `${path}.exceptions[${index}]`;
    checkMatches(exception.match, `${at}.match`, report);
    checkDuplicates(exception.algorithms, `${at}.algorithms`, duplicate, report);
    exception.algorithms.forEach((algorithm, i) => {
      if (!algorithms.includes(algorithm))
        report(
          "unknown-algorithm",
          `${at}.algorithms[${i}]`,
          `algorithm ${algorithm} is not one of spec.compression.algorithms: ${algorithms.join(", ")}`,
        );
    });
  });
}
