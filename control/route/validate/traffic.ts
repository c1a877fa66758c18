import type { Locality, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations, UpstreamTls } from "../../gen/weir/v1/traffic_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import type { Report } from "../problem.ts";
import { shadowHeaders } from "../shadow-headers.ts";
import { matchProblems } from "./compression.ts";

/** Checks how a route treats requests and pods: drills, headers, TLS, balance, localities. */
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
  checkBalance(spec, report);
  if (spec.resilience?.locality) checkLocality(spec.resilience.locality, report);
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
  for (const { code, message, path } of matchProblems(fault.match, "spec.fault.match"))
    report(code, path, message);
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

function checkBalance({ resilience }: RouteSpec, report: Report): void {
  const path = "spec.resilience";
  const balance = resilience?.balance;
  const policy = balance?.policy || "least-request";
  const hash = balance?.hash;
  if ((policy === "consistent-hash") !== (hash !== undefined))
    report(
      "balance-hash",
      `${path}.balance`,
      policy === "consistent-hash"
        ? "policy consistent-hash needs hash, which names the key"
        : `hash has no effect with policy ${policy}: use consistent-hash`,
    );
  if (resilience?.warmup && policy !== "least-request" && policy !== "round-robin")
    report(
      "warmup-policy",
      `${path}.warmup`,
      `warmup works with least-request and round-robin, not with ${policy}`,
    );
  if (hash === undefined) return;
  if (hash.ringSize !== undefined && hash.maglevTableSize !== undefined)
    report(
      "one-of",
      `${path}.balance.hash`,
      "hash must have at most one of ringSize, maglevTableSize",
    );
  if (hash.maglevTableSize !== undefined && !isPrime(hash.maglevTableSize))
    report(
      "not-prime",
      `${path}.balance.hash.maglevTableSize`,
      `maglevTableSize must be a prime, not ${hash.maglevTableSize}`,
    );
}

function isPrime(value: number): boolean {
  if (value < 4) return value > 1;
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
}

const topologyLabels = [
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.istio.io/subzone",
];

function checkLocality({ distribute, failover, failoverPriority }: Locality, report: Report): void {
  const path = "spec.resilience.locality";
  if (distribute.length > 0 && failover.length > 0)
    report("one-of", path, "locality must have at most one of distribute, failover");
  if (failover.length > 0)
    failoverPriority.forEach((label, index) => {
      if (topologyLabels.includes(label))
        report(
          "failover-priority",
          `${path}.failoverPriority[${index}]`,
          `failover already orders by ${label}: leave it out`,
        );
    });
  distribute.forEach(({ from, to }, index) => {
    const sum = Object.values(to).reduce((total, share) => total + share, 0);
    if (sum !== 100)
      report(
        "shares-sum",
        `${path}.distribute[${index}].to`,
        `shares of ${from} must sum to exactly 100, not ${sum}`,
      );
    for (const [locality, share] of Object.entries(to))
      if (share < 1)
        report(
          "out-of-range",
          `${path}.distribute[${index}].to.${locality}`,
          `share of ${locality} must be at least 1: leave it out for no share`,
        );
    checkOverlap(Object.keys(to), `${path}.distribute[${index}].to`, report);
  });
  checkOverlap(
    distribute.map(({ from }) => from),
    `${path}.distribute`,
    report,
  );
}

/** "a/*" and "a/b" in one list are ambiguous. */
function checkOverlap(localities: string[], path: string, report: Report): void {
  for (const locality of localities)
    if (!/^(?:\*|[^/*]+(?:\/(?:\*|[^/*]+(?:\/(?:\*|[^/*]+))?))?)$/.test(locality))
      report(
        "bad-value",
        path,
        `locality "${locality}" must be region/zone/subzone, with "*" only at the end`,
      );
  localities.forEach((one, index) => {
    const twin = localities.find((other, at) => at < index && covers(one, other));
    if (twin !== undefined)
      report("locality-overlap", path, `localities ${twin} and ${one} overlap`);
  });
}

function covers(a: string, b: string): boolean {
  const [x, y] = [a.split("/"), b.split("/")];
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    if (x[i] === "*" || y[i] === "*" || x[i] === undefined || y[i] === undefined) return true;
    if (x[i] !== y[i]) return false;
  }
  return true;
}
