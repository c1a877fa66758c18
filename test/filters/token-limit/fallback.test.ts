import { describe, expect, it } from "vitest";
import type { ReportRequest } from "../../../control/gen/weir/v1/report_pb.ts";
import type { Headers } from "../../host/header-map.ts";
import { requestHeaders } from "../module.ts";
import {
  events,
  finishes,
  json,
  reportOf,
  says,
  stream,
  tokenProxy,
  usage,
} from "./token-streams.ts";

const answering = "xds.upstream_host_metadata.filter_metadata.weir.variant";

interface Given {
  fallback?: boolean;
  chosen?: string;
  /** Whose pods answer, as the host tells; absent: it does not. */
  by?: string;
  status?: Headers;
  body?: string;
}

/** What is reported of one answer to a tenant that is measured by itself. */
function reportedOf({ fallback = true, chosen = "canary", by, status = json, body }: Given) {
  const proxy = tokenProxy((policy) => {
    if (fallback) policy.fallback = true;
  });
  const exchange = proxy.worker.exchange(
    requestHeaders({ "x-tenant-id": "open", ...(chosen ? { "x-weir-variant": chosen } : {}) }),
    true,
    by === undefined ? {} : { [answering]: by },
  );
  exchange.responseHeaders(status, body === undefined);
  if (body !== undefined) exchange.responseBody(Buffer.from(body), true);
  const calls = exchange.calls();
  exchange.end();
  return { report: reportOf(proxy), calls };
}

/** Counters as "variant name label", those of all and those of the tenant. */
const counted = ({ counters }: ReportRequest, tenant = "") =>
  Object.fromEntries(
    counters
      .filter((each) => each.tenant === tenant)
      .map(({ label, name, value, variant }) => [`${variant} ${name} ${label}`, Number(value)]),
  );

describe("an answer of another variant's pods", () => {
  const words = stream(
    says("a"),
    says("b"),
    finishes("stop"),
    JSON.stringify({ choices: [], usage: usage(3, 2) }),
    "[DONE]",
  );

  it("is no success of the variant that was chosen, and its stream is the other one's", () => {
    const { report } = reportedOf({ by: "stable", status: events, body: words });
    expect(counted(report)).toEqual({
      "canary responses fallback": 1,
      "stable streams done": 1,
      "stable finishes stop": 1,
      "stable usage reported": 1,
      "stable tokens prompt": 3,
      "stable tokens completion": 2,
    });
    expect(counted(report, "open")).toMatchObject({
      "canary responses fallback": 1,
      "stable streams done": 1,
    });
    expect(new Set(report.histograms.map(({ variant }) => variant))).toEqual(new Set(["stable"]));
    expect(new Set(report.counters.map(({ tier, tenant }) => tier || tenant))).toEqual(
      new Set(["free", "open"]),
    );
  });

  it("has its own class where it is no success", () => {
    const { report } = reportedOf({ by: "stable", status: [[":status", "503"]] });
    expect(counted(report)).toEqual({ "canary responses 5xx": 1 });
  });

  it.each<[string, Given]>([
    ["its own pods answer", { by: "canary" }],
    ["nobody says whose pods answer", {}],
    ["the route has no fallback", { by: "stable", fallback: false }],
  ])("is one of the chosen variant where %s", (_when, given) => {
    expect(counted(reportedOf(given).report)).toMatchObject({ "canary responses 2xx": 1 });
  });

  it("is one of an unknown variant where none was chosen", () => {
    const { report } = reportedOf({ by: "stable", chosen: "" });
    expect(counted(report)).toMatchObject({ " responses 2xx": 1 });
  });

  it("costs the host a call only where the route has fallbacks", () => {
    const reads = ({ calls }: { calls: string[] }) =>
      calls.filter((call) => call === "proxy_get_property").length;
    const without = reads(reportedOf({ by: "stable", fallback: false }));
    expect(reads(reportedOf({ by: "stable" }))).toBe(without + 1);
  });
});
