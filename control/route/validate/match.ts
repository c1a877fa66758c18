import type { RequestMatch, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";
import { checkDuplicates } from "./duplicates.ts";
import { checkEntries } from "./matches.ts";

/** What Weir or HTTP itself sets. */
const reservedHeaders =
  /^(x-weir-.*|host|connection|content-length|content-type|transfer-encoding|te|upgrade|cookie|authorization)$/;

/** Checks what requests of a route look like on hosts that it shares. */
export function checkMatch({ except, match, models }: RouteSpec, report: Report): void {
  const at = "spec.match";
  if (match.length > 0 && except.length > 0)
    report(
      "no-effect",
      "spec.except",
      "except has no effect with match: what is exempt is decided before it is known which route of the host a request is for",
    );
  checkEntries(match, at, report);
  match.forEach((entry, index) => {
    checkModel(entry, `${at}[${index}].model`, report);
    const { exact, prefix } = entry.path ?? {};
    if (entry.path && (exact === "") === (prefix === ""))
      report("one-of", `${at}[${index}].path`, "path must have exactly one of exact, prefix");
    checkStar(entry.path?.prefix ?? "", `${at}[${index}].path.prefix`, report);
  });
  if (models && reservedHeaders.test(models.header))
    report(
      "control-header",
      "spec.models.header",
      `header ${models.header} is not one that a proxy in front writes a model into: use another header`,
    );
  if (models?.header && models.maxBodyBytes !== undefined)
    report(
      "no-effect",
      "spec.models.maxBodyBytes",
      "maxBodyBytes has no effect with header: the body is not read",
    );
}

function checkModel({ model }: RequestMatch, path: string, report: Report): void {
  if (model === undefined) return;
  const given = [model.exact !== "", model.prefix !== "", model.in.length > 0];
  if (given.filter(Boolean).length !== 1)
    report("one-of", path, "model must have exactly one of exact, prefix, in");
  checkStar(model.prefix, `${path}.prefix`, report);
  checkDuplicates(model.in, `${path}.in`, { code: "duplicate-model", noun: "model" }, report);
}

/** A star looks like a pattern, and would have to stand in the model or path itself. */
function checkStar(prefix: string, path: string, report: Report): void {
  if (prefix.endsWith("*"))
    report("bad-value", path, `prefix ${prefix} is no pattern: leave the "*" at its end out`);
}
