import type { RequestMatch } from "../../gen/weir/v1/route_pb.ts";
import { valuesOf } from "../conditions.ts";
import { modelHeader, routeHeader } from "../control-headers.ts";
import type { Report } from "../problem.ts";

const oneOf = "a match must have exactly one of exact, prefix, present";

/** Reports entries that match nothing in particular, and conditions that only the match of a route has. */
export function checkMatches(matches: readonly RequestMatch[], at: string, report: Report): void {
  checkEntries(matches, at, report);
  matches.forEach((match, index) => {
    const given = { model: match.model, path: match.path, method: match.method || undefined };
    for (const [field, value] of Object.entries(given))
      if (value !== undefined)
        report(
          "match-field",
          `${at}[${index}].${field}`,
          `${field} can be matched only in spec.match: match a header here`,
        );
  });
}

/** Reports what is wrong with the entries of any match. */
export function checkEntries(matches: readonly RequestMatch[], at: string, report: Report): void {
  matches.forEach((match, index) => {
    const path = `${at}[${index}]`;
    checkOwn(match, path, report);
    match.headers.forEach(({ header, value }, i) => {
      const at = `${path}.headers[${i}]`;
      checkName(header, at, report);
      if (value.case === undefined) report("one-of", at, oneOf);
    });
    if (
      !match.model &&
      !match.path &&
      match.method === "" &&
      match.headers.length === 0 &&
      match.header === "" &&
      valuesOf(match).length === 0
    )
      report("missing-field", path, "an entry of a match must have at least one condition");
  });
}

/** A condition that is written into the entry itself: its two parts need each other. */
function checkOwn(match: RequestMatch, path: string, report: Report): void {
  const values = valuesOf(match);
  const [first] = values;
  if (match.header === "" && first !== undefined)
    report("missing-field", `${path}.header`, `${first.case} needs the name of a header`);
  if (match.header === "") return;
  checkName(match.header, path, report);
  if (values.length !== 1) report("one-of", path, oneOf);
}

function checkName(header: string, path: string, report: Report): void {
  if (header === modelHeader || header === routeHeader)
    report(
      "control-header",
      `${path}.header`,
      `header ${header} is reserved by weir: match the model with model`,
    );
}
