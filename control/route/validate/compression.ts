import type { Compression, HeaderMatch } from "../../gen/weir/v1/route_pb.ts";
import type { Problem } from "../problem.ts";

const path = "spec.compression";

/** Checks a route's compression. */
export function compressionProblems(compression: Compression | undefined): Problem[] {
  if (compression === undefined) return [];
  const { algorithms } = compression;
  return [
    ...twice(algorithms, `${path}.algorithms`),
    ...compression.exceptions.flatMap((exception, index) => {
      const at = `${path}.exceptions[${index}]`;
      return [
        ...matchProblems(exception.match, `${at}.match`),
        ...twice(exception.algorithms, `${at}.algorithms`),
        ...exception.algorithms.flatMap((algorithm, i) =>
          algorithms.includes(algorithm)
            ? []
            : [
                {
                  code: "unknown-algorithm",
                  path: `${at}.algorithms[${i}]`,
                  message: `algorithm ${algorithm} is not one of spec.compression.algorithms: ${algorithms.join(", ")}`,
                },
              ],
        ),
      ];
    }),
  ];
}

/** Matches without a value to match. */
export function matchProblems(matches: readonly HeaderMatch[], at: string): Problem[] {
  return matches.flatMap((match, index) =>
    match.value.case === undefined
      ? [
          {
            code: "one-of",
            path: `${at}[${index}]`,
            message: "a match must have exactly one of exact, prefix, present",
          },
        ]
      : [],
  );
}

function twice(algorithms: readonly string[], at: string): Problem[] {
  return algorithms.flatMap((algorithm, index) =>
    algorithms.indexOf(algorithm) < index
      ? [
          {
            code: "duplicate-algorithm",
            path: `${at}[${index}]`,
            message: `algorithm "${algorithm}" is listed twice`,
          },
        ]
      : [],
  );
}
