import { create, toJson } from "@bufbuild/protobuf";
import { RolloutSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { FleetSchema, InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { rolloutOf, routeWithPods } from "../rollout/world.ts";

type Json = Record<string, unknown>;

/** A call by its name, and its request. */
export type Call = readonly [method: string, request: Json];

/** A call that gives a field, and the same without it; both after what was called before. */
export interface Pair {
  before?: Call[];
  call: Call;
  without: Json;
}

/** Leaves a field out, or gives it another value. */
function pair(field: string, call: Call, before: Call[] = [], other?: unknown): [string, Pair] {
  const [method, request] = call;
  const { [field]: _, ...rest } = request;
  const without = other === undefined ? rest : { ...rest, [field]: other };
  return [`${method}.${field}`, { before, call, without }];
}

function route(name = "chat", namespace = "inference", canary = 0): Json {
  const made = routeWithPods(9001, 9002);
  Object.assign(made.metadata ?? {}, { name, namespace });
  if (made.spec) {
    made.spec.hosts = [`${name}.example.com`];
    made.spec.variants.forEach((variant, i) => {
      variant.weight = i === 0 ? 100 - canary : canary;
      variant.labels = { version: `v${i + 1}` };
    });
    if (made.spec.rateLimit) made.spec.rateLimit.fleet = create(FleetSchema, { proxies: 2 });
    for (const tier of Object.values(made.spec.rateLimit?.tiers ?? {}))
      if (name === "tokens") tier.tokensPerMinute = 600n;
  }
  return toJson(InferenceRouteSchema, made) as Json;
}

const chat: Call = ["ApplyRoute", { route: route() }];
const talk: Call = ["ApplyRoute", { route: route("talk", "other") }];
const rollout = toJson(
  RolloutSchema,
  rolloutOf({ steps: [{ weight: 20 }, { weight: 50 }, { weight: 100 }], hold: "3600s" }),
) as Json;
const ofTalk = { ...rollout, metadata: { name: "talk", namespace: "other" } };
const started: Call[] = [chat, ["StartRollout", { rollout }]];
const paused: Call[] = [...started, ["PauseRollout", { name: "chat" }]];
const stale = "99";

/** Counters start at zero and grow: a first report tells where they are. */
const counter = { name: "responses", route: "inference/chat", label: "2xx", variant: "stable" };
const histogram = { name: "token_gap_ms", route: "inference/chat", variant: "stable" };
const need = { route: "inference/chat", tenant: "acme", wanted: "5", intervalNs: "1000000" };
const report = { node: "edge-1", epoch: "1", revision: "r" };
const counted = (value: Json, ...more: Json[]): Call => [
  "Report",
  { ...report, counters: [{ ...counter, ...value }, ...more] },
];
const measured = (value: Json): Call => [
  "Report",
  { ...report, histograms: [{ ...histogram, ...value }] },
];
const needed = (value: Json): Call => ["Report", { ...report, needs: [{ ...need, ...value }] }];

/** The route that asks how busy its pods are. */
function shedding(): Call {
  const document = route() as { spec: { rateLimit: Json } };
  document.spec.rateLimit.overload = {};
  return ["ApplyRoute", { route: document }];
}

/** Of another proxy, which has half of the limit. */
const otherNeed: Call = [
  "Report",
  { ...report, node: "edge-2", needs: [{ ...need, wanted: "100", intervalNs: "20000000" }] },
];

/** A field of what a report holds: the report with it, and with another value or none. */
function part(
  key: string,
  made: (value: Json) => Call,
  value: unknown,
  other?: unknown,
  before = [chat],
) {
  const [, field = ""] = key.split(".");
  const [, without] = made({ [field]: other });
  const clean = JSON.parse(JSON.stringify(without)) as Json;
  const found: Pair = { before, call: made({ [field]: value }), without: clean };
  return [key, found] as const;
}

export const pairs: Record<string, Pair> = Object.fromEntries([
  pair("route", chat),
  pair("etag", ["ApplyRoute", { route: route("chat", "inference", 5), etag: stale }], [chat]),
  pair("reason", ["ApplyRoute", { route: route(), reason: "as asked" }]),
  pair("dryRun", ["ApplyRoute", { route: route(), dryRun: true }]),
  pair("name", ["GetRoute", { name: "chat" }], [chat]),
  pair("namespace", ["ListRoutes", { namespace: "other" }], [chat, talk]),
  pair("name", ["DeleteRoute", { name: "chat" }], [chat]),
  pair("etag", ["DeleteRoute", { name: "chat", etag: stale }], [chat]),
  pair("reason", ["DeleteRoute", { name: "chat", reason: "as asked" }], [chat]),
  pair("name", ["WatchRoute", { name: "other/talk" }], [chat, talk]),
  pair("name", ["RenderRoute", { name: "chat" }], [chat]),
  pair("route", ["RenderRoute", { route: route() }]),
  pair("target", ["RenderRoute", { route: route(), target: "gateway-api" }]),
  pair("wasmUrl", ["RenderRoute", { route: route(), wasmUrl: "oci://example.com/weir:1" }]),
  pair("tokenLimitWasmUrl", [
    "RenderRoute",
    { route: route("tokens"), tokenLimitWasmUrl: "oci://example.com/token-limit:1" },
  ]),
  pair("route", ["PlanRoute", { route: route() }]),
  pair("name", ["ShiftWeights", { name: "chat", weights: { canary: 30 } }], [chat]),
  pair("weights", ["ShiftWeights", { name: "chat", weights: { canary: 30 } }], [chat]),
  pair("etag", ["ShiftWeights", { name: "chat", weights: { canary: 3 }, etag: stale }], [chat]),
  pair("reason", ["ShiftWeights", { name: "chat", weights: { canary: 3 }, reason: "so" }], [chat]),
  pair("name", ["ListAudit", { name: "other/talk" }], [chat, talk]),
  pair("limit", ["ListAudit", { limit: 1 }], [chat, talk]),
  pair("rollout", ["StartRollout", { rollout }], [chat]),
  pair("reason", ["StartRollout", { rollout, reason: "as asked" }], [chat]),
  pair("name", ["PauseRollout", { name: "chat" }], started),
  pair("reason", ["PauseRollout", { name: "chat", reason: "as asked" }], started),
  pair("etag", ["PauseRollout", { name: "chat", etag: stale }], started),
  pair("name", ["ResumeRollout", { name: "chat" }], paused),
  pair("reason", ["ResumeRollout", { name: "chat", reason: "as asked" }], paused),
  pair("etag", ["ResumeRollout", { name: "chat", etag: stale }], paused),
  pair("name", ["PromoteRollout", { name: "chat" }], started),
  pair("reason", ["PromoteRollout", { name: "chat", reason: "as asked" }], started),
  pair("etag", ["PromoteRollout", { name: "chat", etag: stale }], started),
  pair("full", ["PromoteRollout", { name: "chat", full: true }], started),
  pair("name", ["RollbackRollout", { name: "chat" }], started),
  pair("reason", ["RollbackRollout", { name: "chat", reason: "as asked" }], started),
  pair("name", ["GetRollout", { name: "chat" }], started),
  pair("namespace", ["ListRollouts", { namespace: "other" }], started),
  pair(
    "name",
    ["WatchRollout", { name: "other/talk" }],
    [...started, talk, ["StartRollout", { rollout: ofTalk }]],
  ),
  pair("name", ["ListSignals", { name: "chat" }], [chat, talk]),
  pair("name", ["GetHistory", { name: "chat" }], [chat]),
  pair("name", ["ListPods", { name: "chat" }], [chat]),

  pair("node", counted({ value: "5" }), [chat]),
  // What was counted before is counted again where the proxy began anew.
  pair(
    "epoch",
    ["Report", { ...report, epoch: "2", counters: [{ ...counter, value: "5" }] }],
    [chat, counted({ value: "5" })],
    "1",
  ),
  pair("revision", ["Report", { ...report, revision: "r" }], [chat]),
  pair("counters", counted({ value: "5" }), [chat]),
  pair("histograms", measured({ zeros: "5" }), [chat]),
  // Two modules of one proxy count for themselves.
  pair(
    "filter",
    ["Report", { ...report, filter: "canary", counters: [{ ...counter, value: "5" }] }],
    [chat, counted({ value: "5" })],
  ),
  pair("needs", needed({}), [chat]),
  part("Counter.name", (value) => counted({ value: "5", ...value }), "responses"),
  part("Counter.route", (value) => counted({ value: "5", ...value }), "inference/chat"),
  part("Counter.label", (value) => counted({ value: "5", ...value }), "2xx"),
  part("Counter.value", counted, "5"),
  part("Counter.variant", (value) => counted({ value: "5", ...value }), "stable"),
  part("Counter.tier", (value) => counted({ value: "5", ...value }), "gold"),
  part("Counter.tenant", (value) => counted({ value: "5", ...value }), "acme"),
  part("Histogram.name", (value) => measured({ zeros: "5", ...value }), "token_gap_ms"),
  part("Histogram.route", (value) => measured({ zeros: "5", ...value }), "inference/chat"),
  part("Histogram.variant", (value) => measured({ zeros: "5", ...value }), "stable"),
  part("Histogram.tier", (value) => measured({ zeros: "5", ...value }), "gold"),
  part("Histogram.index", (value) => measured({ count: ["5"], ...value }), [300]),
  part("Histogram.count", (value) => measured({ index: [300], ...value }), ["5"]),
  part("Histogram.zeros", measured, "5"),
  part("Histogram.tenant", (value) => measured({ zeros: "5", ...value }), "acme"),
  pair(
    "saturations",
    [
      "Report",
      { ...report, saturations: [{ route: "inference/chat", source: "answers", permille: 500 }] },
    ],
    [shedding()],
  ),
  part("Need.route", needed, "inference/chat"),
  part("Need.tenant", needed, "acme"),
  part("Need.wanted", needed, "5", undefined, [chat, otherNeed]),
  part("Need.intervalNs", needed, "1000000"),
]);
