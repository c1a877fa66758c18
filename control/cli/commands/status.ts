import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  type GetRouteResponse,
  GetRouteResponseSchema,
  type ListProxiesResponse,
  ListProxiesResponseSchema,
  type ProxyResource,
} from "../../gen/weir/v1/service_pb.ts";
import type { ListPodsResponse, PodLoad, RouteSignals } from "../../gen/weir/v1/signals_pb.ts";
import { routeName } from "../../route/index.ts";
import { withServer } from "../client.ts";
import { server } from "../flags.ts";
import { table, valueText } from "../output.ts";
import { describeSaturation } from "../saturation.ts";
import { showApplied } from "../wait.ts";
import { showOrWatch, watchFlag } from "../watch.ts";

interface StatusFlags {
  server?: string;
  tokenFile?: string;
  output?: "json" | "yaml";
  watch?: boolean;
}

export function addStatus(program: Command): void {
  program
    .command("status")
    .summary("show a route's traffic and which proxies run its latest version")
    .argument("<name>", "route")
    .option(...server)
    .option(...watchFlag)
    .addOption(new Option("-o, --output <format>", "output for programs").choices(["json", "yaml"]))
    .addHelpText("after", "\nExamples:\n  weir status chat\n  weir status chat --watch")
    .action((name: string, { output, watch, ...flags }: StatusFlags) =>
      withServer(flags, ({ routes, signals }) =>
        showOrWatch(
          watch,
          async () => {
            const found = await routes.getRoute({ name });
            if (output) return valueText(toJson(GetRouteResponseSchema, found), output);
            const seen = await signals.listSignals({ name });
            return describe(name, found, seen.routes[0], await signals.listPods({ name }));
          },
          output !== undefined,
        ),
      ),
    );
}

function describe(
  name: string,
  { state, applied, traffic }: GetRouteResponse,
  signals: RouteSignals | undefined,
  { pods, observed }: ListPodsResponse,
): string {
  const rows = state?.route?.spec?.variants.map((variant) => {
    const seen = signals?.variants.find((each) => each.variant === variant.name)?.signals;
    return [
      variant.name,
      `${variant.weight} %`,
      String(traffic.find((each) => each.variant === variant.name)?.requests ?? 0),
      (seen?.requestsPerSecond ?? 0).toFixed(1),
      seen?.errorPercent === undefined ? "-" : `${seen.errorPercent.toFixed(1)} %`,
      seen?.refusedPercent === undefined ? "-" : `${seen.refusedPercent.toFixed(1)} %`,
      seen?.waitedSeconds === undefined ? "-" : `${seen.waitedSeconds} s`,
      waitingIn(pods, variant.name),
      milliseconds(seen?.timeToFirstTokenMs?.p95),
      (seen?.tokensPerSecond ?? 0).toFixed(1),
    ];
  });
  const head = [
    "VARIANT",
    "WEIGHT",
    "REQUESTS",
    "PER SECOND",
    "ERRORS",
    "REFUSED",
    "WAITED",
    "QUEUE",
    "FIRST TOKEN P95",
    "TOKENS/S",
  ];
  return [
    `${state?.route ? routeName(state.route) : name} (etag ${state?.etag})`,
    table(head, rows ?? []),
    ...(applied ? [showApplied(applied)] : []),
    ...describeRegistered(pods),
    ...describeSaturation(pods, observed),
    ...describeRefusals(signals),
  ].join("\n");
}

/** Refusals of the last minute by tier and tenant; empty without any. */
function describeRefusals(signals: RouteSignals | undefined): string[] {
  const tiers = signals?.tiers.filter(({ refusedPerSecond }) => refusedPerSecond > 0) ?? [];
  const tenants = signals?.tenants ?? [];
  const ofTiers = tiers.map(({ tier, admittedPerSecond, refusedPerSecond, refusals }) => [
    tier || "whole route",
    admittedPerSecond.toFixed(1),
    refusedPerSecond.toFixed(1),
    refusals.map(({ code, perSecond }) => `${code} ${perSecond.toFixed(1)}`).join(", "),
  ]);
  const ofTenants = tenants.map((each) => [each.tenant, each.refusedPerSecond.toFixed(1)]);
  return [
    ...(tiers.length > 0 ? [table(["TIER", "ADMITTED/S", "REFUSED/S", "REASON"], ofTiers)] : []),
    ...(tenants.length > 0 ? [table(["TENANT", "REFUSED/S"], ofTenants)] : []),
  ];
}

/** Pods that registered themselves; empty without any. */
function describeRegistered(pods: readonly PodLoad[]): string[] {
  const rows = pods.flatMap(({ endpoint, state, variant }) =>
    state === "" ? [] : [[endpoint, variant, state]],
  );
  return rows.length > 0 ? [table(["REGISTERED POD", "VARIANT", "STATE"], rows)] : [];
}

/** Requests that wait in a variant's pods, as far as these are asked. */
function waitingIn(pods: readonly PodLoad[], variant: string): string {
  const answering = pods.filter((each) => each.variant === variant && each.problem === "");
  return answering.length === 0
    ? "-"
    : String(answering.reduce((sum, { waiting }) => sum + (waiting ?? 0), 0));
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? "-" : `${Math.round(value)} ms`;
}

export function addProxies(program: Command): void {
  program
    .command("proxies")
    .summary("list the proxies, their Envoy version and their state")
    .option(...server)
    .option(...watchFlag)
    .addOption(new Option("-o, --output <format>", "output for programs").choices(["json", "yaml"]))
    .addHelpText(
      "after",
      "\nExamples:\n  weir proxies\n  weir proxies -o json | jq '.proxies[].node'",
    )
    .action(({ output, watch, ...flags }: StatusFlags) =>
      withServer(flags, ({ fleet }) =>
        showOrWatch(
          watch,
          async () => {
            const found = await fleet.listProxies({});
            return output
              ? valueText(toJson(ListProxiesResponseSchema, found), output)
              : describeProxies(found);
          },
          output !== undefined,
        ),
      ),
    );
}

function describeProxies({ proxies }: ListProxiesResponse): string {
  if (proxies.length === 0) return "no proxies";
  const rows = proxies.map(({ node, version, connected, inSync, reportedRevision, resources }) => [
    node,
    version,
    connected
      ? resources.some(({ nackMessage }) => nackMessage)
        ? "refused"
        : inSync
          ? "in sync"
          : "behind"
      : resources.length === 0 && reportedRevision !== ""
        ? "reports"
        : "away",
    reportedRevision || "-",
    resources.flatMap(describeRefusal).join("; ") || "-",
  ]);
  return table(["NODE", "ENVOY", "STATE", "REPORTS", "REFUSED"], rows);
}

/** What a proxy refuses, since when, and its message. */
function describeRefusal({ type, nackMessage, refusedSince }: ProxyResource): string[] {
  if (nackMessage === "") return [];
  const since = refusedSince ? ` since ${timestampDate(refusedSince).toISOString()}` : "";
  return [`${type}${since}: ${nackMessage}`];
}
