import type { RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations, UpstreamTls } from "../../gen/weir/v1/traffic_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import type { Report } from "../problem.ts";
import { shadowHeaders } from "../shadow-headers.ts";
import { checkMatches } from "./matches.ts";

/** Checks how a route treats requests and pods: drills, headers, CORS, TLS. */
export function checkTraffic(spec: RouteSpec, report: Report): void {
  checkFault(spec, report);
  for (const direction of ["request", "response"] as const) {
    const operations = spec.headers?.[direction];
    if (operations) checkHeaders(operations, `spec.headers.${direction}`, spec, report);
  }
  if (spec.cors?.allowCredentials && spec.cors.allowOrigins.includes("*"))
    report(
      "bad-value",
      "spec.cors.allowCredentials",
      'allowCredentials with origin "*" would let any website send requests as its visitors: list the allowed origins',
    );
  if (spec.tls) checkTls(spec.tls, report);
}

function checkFault({ fault, variants }: RouteSpec, report: Report): void {
  if (fault === undefined) return;
  const { abort, cutAfter, delay, kibibytesPerSecond } = fault;
  if ([delay, abort, cutAfter, kibibytesPerSecond].every((part) => part === undefined))
    report(
      "missing-field",
      "spec.fault",
      "fault must have delay, abort, cutAfter or kibibytesPerSecond",
    );
  if (fault.variant !== "" && !variants.some(({ name }) => name === fault.variant))
    report(
      "unknown-variant",
      "spec.fault.variant",
      `variant "${fault.variant}" is not one of ${variants.map(({ name }) => name).join(", ")}`,
    );
  checkMatches(fault.match, "spec.fault.match", report);
}

const maxValueLength = 2048;

function checkHeaders(
  { add, remove, set }: HeaderOperations,
  path: string,
  spec: RouteSpec,
  report: Report,
): void {
  const own = [...controlHeaders, ...shadowHeaders(spec)];
  const seen = new Map<string, string>();
  const fields = { set: Object.keys(set), add: Object.keys(add), remove };
  for (const [field, names] of Object.entries(fields))
    names.forEach((name, index) => {
      const at = field === "remove" ? `${path}.remove[${index}]` : `${path}.${field}.${name}`;
      if (own.includes(name))
        report(
          "control-header",
          at,
          `header ${name} is reserved by weir: it cannot be set or removed`,
        );
      if (name === "host")
        report("host-header", at, "header host selects the route: it cannot be changed");
      const other = seen.get(name);
      if (other !== undefined)
        report("duplicate-header", at, `header ${name} is already listed in ${other}`);
      seen.set(name, field);
    });
  for (const [field, values] of Object.entries({ set, add }))
    for (const [name, value] of Object.entries(values)) {
      const wrong = headerValueProblem(value);
      if (wrong)
        report("bad-value", `${path}.${field}.${name}`, `value of header ${name} ${wrong}`);
    }
}

function headerValueProblem(value: string): string | undefined {
  if (value.length > maxValueLength)
    return `must have at most ${maxValueLength} characters, not ${value.length}`;
  if (!/^[\x20-\x7e]*$/.test(value)) return "must be printable ASCII";
  if (value.trim() !== value || value === "")
    return "must not be empty, or start or end with a space";
  // Envoy reads %NAME% as a variable of the request, which may be a secret.
  if (/%/.test(value.replaceAll("%%", ""))) return 'has a single "%": write "%%"';
  return undefined;
}

function checkTls(tls: UpstreamTls, report: Report): void {
  const path = "spec.tls";
  const files = {
    caCertificates: tls.caCertificates,
    clientCertificate: tls.clientCertificate,
    privateKey: tls.privateKey,
  };
  const given = Object.entries(files).filter(([, file]) => file !== "");
  const names = given.map(([name]) => name).join(", ");
  if (tls.mode === "disable" || tls.mode === "istio-mutual") {
    const extra = [...given.map(([name]) => name)];
    if (tls.credentialName !== "") extra.push("credentialName");
    if (tls.insecureSkipVerify) extra.push("insecureSkipVerify");
    if (tls.mode === "disable" && tls.sni !== "") extra.push("sni");
    if (tls.mode === "disable" && tls.subjectAltNames.length > 0) extra.push("subjectAltNames");
    if (extra.length > 0)
      report(
        "tls-fields",
        path,
        `mode ${tls.mode} does not allow ${extra.join(", ")}: leave them out`,
      );
    return;
  }
  if (tls.credentialName !== "" && given.length > 0)
    report(
      "tls-fields",
      path,
      `credentialName cannot be combined with ${names}: set one or the other`,
    );
  const pair = tls.clientCertificate !== "" && tls.privateKey !== "";
  if (tls.mode === "mutual" && tls.credentialName === "" && !pair)
    report(
      "missing-field",
      path,
      "mode mutual needs clientCertificate and privateKey, or credentialName",
    );
  if (tls.mode === "simple" && (tls.clientCertificate !== "" || tls.privateKey !== ""))
    report(
      "tls-fields",
      path,
      "mode simple does not allow clientCertificate and privateKey: use mode mutual",
    );
  if (tls.insecureSkipVerify && (tls.caCertificates !== "" || tls.subjectAltNames.length > 0))
    report(
      "tls-fields",
      `${path}.insecureSkipVerify`,
      "insecureSkipVerify turns off the checks of caCertificates and subjectAltNames: leave one out",
    );
}
