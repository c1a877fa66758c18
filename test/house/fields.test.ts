import { readdirSync, readFileSync } from "node:fs";
import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  toBinary,
} from "@bufbuild/protobuf";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { createProgram } from "../../control/cli/program.ts";
import { limit } from "../../control/gen/weir/v1/constraints_pb.ts";
import { file_weir_v1_peer } from "../../control/gen/weir/v1/peer_pb.ts";
import { file_weir_v1_report } from "../../control/gen/weir/v1/report_pb.ts";
import { file_weir_v1_rollout, RolloutSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { type InferenceRoute, InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { file_weir_v1_service, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { file_weir_v1_signals } from "../../control/gen/weir/v1/signals_pb.ts";
import { renderIstio, toYaml } from "../../control/istio/index.ts";
import { lintRoute } from "../../control/lint/index.ts";
import {
  copyConfig,
  draftRoute,
  filterConfig,
  parseRoute,
  validateRoute,
} from "../../control/route/index.ts";
import { buildResources } from "../../control/xds/index.ts";
import { sourcesBelow } from "./sources.ts";

type Json = Record<string, unknown>;

/** A field by its message and name, and where values of it stand in documents. */
const keyOf = (field: DescField) => `${field.parent.name}.${field.jsonName}`;

/** Every field below a message, each once. */
function fieldsBelow(message: DescMessage, found = new Map<string, DescField>()) {
  if (message.typeName.startsWith("google.")) return found;
  for (const field of message.fields) {
    if (found.has(keyOf(field))) continue;
    found.set(keyOf(field), field);
    if (field.message) fieldsBelow(field.message, found);
  }
  return found;
}

/** Where fields stand in a document: the object, the field in it, and the fields above. */
function* places(
  message: DescMessage,
  value: Json,
  above: DescField[] = [],
): Generator<[Json, DescField, DescField[]]> {
  for (const field of message.fields) {
    const held = value[field.jsonName];
    if (held === undefined) continue;
    yield [value, field, above];
    const isMap = field.fieldKind === "map";
    const below = isMap && field.mapKind !== "message" ? undefined : field.message;
    if (below === undefined || below.typeName.startsWith("google.")) continue;
    for (const item of isMap ? Object.values(held as Json) : [held].flat())
      yield* places(below, item as Json, [...above, field]);
  }
}

/** Names of variants and tiers in the documents of this test's own. */
const names = ["canary", "later", "gold"];

/** Other values of a field than the one that an object holds; undefined takes it away. */
function others(field: DescField, value: unknown): unknown[] {
  const words = hasOption(field, limit) ? getOption(field, limit).in : [];
  if (Array.isArray(value)) {
    const [first, ...rest] = value;
    const changed =
      words.length > 0 ? words : typeof first === "string" ? [`${first}x`, `x${first}`] : [];
    return [undefined, rest, ...changed.map((each) => [each, ...rest])];
  }
  if (typeof value === "number") return [undefined, value + 1, value / 2];
  if (typeof value === "boolean") return [undefined, !value];
  if (typeof value === "string")
    return [undefined, ...words, ...names, `${value}x`, `x${value}`, value === "7s" ? "8s" : "7s"];
  if (field.fieldKind !== "map") return [undefined];
  const [[key, each] = ["", ""], second] = Object.entries(value as Json);
  if (typeof each === "number" && typeof second?.[1] === "number")
    return [{ ...(value as Json), [key]: each - 1, [second[0]]: second[1] + 1 }];
  const changed = typeof each === "string" ? `${each}x` : each;
  return [undefined, {}, { ...(value as Json), [key]: changed }, { [`${key}x`]: each }];
}

const code = { file: "/weir.wasm" };
const address = { host: "127.0.0.1", port: 1 };

/** What each kind of proxy is told for a document; undefined for one that is refused. */
function answers(document: unknown): Record<string, string> | undefined {
  const { routes, problems } = parseRoute(structuredClone(document));
  const [route] = routes;
  if (problems.length > 0 || route === undefined || validateRoute(route).length > 0)
    return undefined;
  const state = create(RouteStateSchema, draftRoute(route, undefined));
  const istio = (target: "istio" | "gateway-api") => {
    const options = { target, gatewayApiChannel: "experimental" } as const;
    const { manifests, problems } = renderIstio([state], options);
    return problems.length > 0 ? `refused ${JSON.stringify(problems)}` : toYaml(manifests);
  };
  return {
    istio: istio("istio"),
    "gateway-api": istio("gateway-api"),
    envoy: forEnvoy(route, state),
    told: JSON.stringify(lintRoute(route)),
  };
}

function forEnvoy(
  route: InferenceRoute,
  state: Parameters<typeof filterConfig>[0][number],
): string {
  const filters = filterConfig([state]);
  const weir = { wasm: code, config: JSON.stringify(filters) };
  const placed = structuredClone(route);
  placed.spec?.variants.forEach((variant, i) => {
    if (variant.endpoints.length === 0) variant.endpoints = [`192.0.2.${i + 1}:8000`];
  });
  const resources = buildResources([{ ...state, route: placed }], {
    gateway: address,
    report: address,
    weir,
    registered: () => [{ address: "192.0.2.200:8000", capacity: 1 }],
    copies: (each) => {
      const config = copyConfig(each);
      return config && { wasm: code, config: JSON.stringify(config) };
    },
  });
  return Object.values(resources)
    .flat()
    .map(({ schema, message }) => Buffer.from(toBinary(schema, message)).toString("base64"))
    .concat(JSON.stringify(filters))
    .join("\n");
}

/** Documents with some of everything. */
function* documents(): Generator<Json> {
  const folders = ["test/house/fields", "test/istio/golden", "examples"];
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
  );
  for (const file of files.filter((each) => each.endsWith("route.yaml")))
    for (const each of parseAllDocuments(readFileSync(file, "utf8"))) yield each.toJSON() as Json;
}

/** Weights are told apart only with others, as they sum to 100. */
function weighedAnew(document: Json, before: Record<string, string>): Set<string> {
  const { variants } = document.spec as { variants: { weight?: number }[] };
  const [first, second] = variants;
  if (first === undefined || second === undefined) return new Set();
  [first.weight, second.weight] = [second.weight ?? 0, first.weight ?? 0];
  const after = Object.entries(answers(document) ?? {});
  [first.weight, second.weight] = [second.weight ?? 0, first.weight ?? 0];
  return new Set(after.filter(([who, text]) => text !== before[who]).map(([who]) => who));
}

/** What says of itself what it is, and what is for readers alone. */
const forReaders = [
  "Compression.events",
  "InferenceRoute.apiVersion",
  "InferenceRoute.kind",
  "Metadata.labels",
];
/**
 * What the control service alone acts on: when it takes a fault away (`test/drill/expiry.test.ts`), and
 * which routes it takes at all (`test/route/hosts.test.ts`).
 */
const forTheService = ["Fault.until", "RouteSpec.shareHostsWith"];

describe("every field of a route", () => {
  const known = fieldsBelow(InferenceRouteSchema);
  const effects = new Map([...known.keys()].map((key) => [key, new Set<string>()]));
  const tries = new Map<string, number>();

  /** Looks at what other values of a field in a document change. */
  function tryField(
    document: Json,
    holder: Json,
    field: DescField,
    before: Record<string, string>,
  ) {
    const changed = new Set<string>();
    const value = holder[field.jsonName];
    const sibling = field.oneof?.fields.find(
      ({ jsonName }) => jsonName !== field.jsonName && jsonName === "header",
    );
    // A tier has either this or a limit.
    const limit = keyOf(field) === "Tier.forbidden" ? { requestsPerSecond: 1 } : {};
    for (const other of others(field, value)) {
      if (other === undefined) delete holder[field.jsonName];
      else holder[field.jsonName] = other;
      if (other === undefined && sibling) holder[sibling.jsonName] = "x-other";
      Object.assign(holder, limit);
      const after = answers(document);
      for (const key of Object.keys(limit)) delete holder[key];
      if (other === undefined && sibling) delete holder[sibling.jsonName];
      for (const [who, text] of Object.entries(after ?? {}))
        if (text !== before[who]) changed.add(who);
      if (changed.size > 2) break;
    }
    holder[field.jsonName] = value;
    return keyOf(field) === "Variant.weight" ? weighedAnew(document, before) : changed;
  }

  it("changes what some proxy is told, and where only one kind of proxy is told it is listed", () => {
    for (const document of documents()) {
      const before = answers(document);
      if (before === undefined) continue;
      for (const [holder, field, above] of [...places(InferenceRouteSchema, document)]) {
        const key = keyOf(field);
        const own = effects.get(key);
        if (own === undefined || (own.has("istio") && own.has("envoy"))) continue;
        tries.set(key, (tries.get(key) ?? 0) + 1);
        if ((tries.get(key) ?? 0) > 12) continue;
        // Whatever holds a field that has an effect has one as well.
        for (const who of tryField(document, holder, field, before))
          for (const each of [field, ...above]) effects.get(keyOf(each))?.add(who);
      }
    }
    const only = (test: (who: ReadonlySet<string>) => boolean) =>
      [...effects]
        .filter(([, who]) => test(who))
        .map(([key]) => key)
        .sort();
    const told = (who: ReadonlySet<string>) =>
      ["istio", "gateway-api", "envoy"].some((each) => who.has(each));
    expect(
      {
        nobody: only((who) => !told(who)),
        clusters: only((who) => told(who) && !who.has("envoy")),
        plainEnvoys: only((who) => told(who) && !who.has("istio")),
      },
      "a field under nobody has no effect, or no document in test/house/fields has it; what is for clusters or plain Envoys alone is listed below",
    ).toEqual({
      nobody: [...forReaders, ...forTheService, "Metadata.annotations"].sort(),
      clusters: clustersAlone,
      plainEnvoys: plainEnvoysAlone,
    });
  }, 300_000);
});

/** What only objects of a cluster hold: the proto says so of each, and `weir check` of what a plain Envoy is not told. */
const clustersAlone = [
  "AccessLog.failuresOnly",
  "AccessLog.provider",
  "Attach.filters",
  "Attach.namespace",
  "Attach.selector",
  "Attach.side",
  "Attach.targetRefs",
  "Locality.distribute",
  "Locality.failover",
  "Locality.failoverPriority",
  "LocalityFailover.from",
  "LocalityFailover.to",
  "LocalityShare.from",
  "LocalityShare.to",
  "Mesh.delegate",
  "Mesh.exportTo",
  "Mesh.telemetry",
  "Resilience.locality",
  "RouteSpec.alsoAttach",
  "RouteSpec.attach",
  "RouteSpec.gateways",
  "RouteSpec.mesh",
  "RouteSpec.service",
  "Scale.kind",
  "Scale.maxReplicas",
  "Scale.metric",
  "Scale.minReplicas",
  "Scale.prometheus",
  "Scale.queueDepth",
  "Scale.settle",
  "Scale.workload",
  "Service.externalHost",
  "Service.name",
  "Service.port",
  "Shadow.arrival",
  "Shadow.isolate",
  "ShadowIsolation.selector",
  "TargetRef.group",
  "TargetRef.kind",
  "TargetRef.name",
  "Telemetry.accessLog",
  "Telemetry.traces",
  "Telemetry.variantMetrics",
  "Traces.percent",
  "UpstreamTls.credentialName",
  "Variant.inferencePool",
  "Variant.labels",
  "Variant.scale",
  "Variant.service",
];
/** What only Envoys that Weir configures are told: the proto says so of each, and rendering refuses it or leaves it to them. */
const plainEnvoysAlone = [
  "Except.methods",
  "Except.path",
  "Fault.kibibytesPerSecond",
  "HealthCheck.expectedStatuses",
  "HealthCheck.healthyThreshold",
  "HealthCheck.interval",
  "HealthCheck.path",
  "HealthCheck.timeout",
  "HealthCheck.unhealthyThreshold",
  "Variant.fallbackEndpoints",
  "Variant.register",
];

/** The code of some rooms, without what is said in comments. */
function codeOf(...folders: string[]): string {
  return folders
    .flatMap(sourcesBelow)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""))
    .join("\n");
}

const reads = (code: string, name: string) => new RegExp(`\\b${name}\\b`).test(code);

describe("nothing that may be given is read by nothing:", () => {
  const files = [
    file_weir_v1_service,
    file_weir_v1_rollout,
    file_weir_v1_report,
    file_weir_v1_signals,
    file_weir_v1_peer,
  ];
  const methods = files.flatMap(({ services }) => services.flatMap((service) => service.methods));
  const documentsOf: string[] = [InferenceRouteSchema.typeName, RolloutSchema.typeName];

  it.each(methods.map((method) => [method.name, method.input] as const))(
    "%s reads every field of its request",
    (name, input) => {
      const code = codeOf("control/api", "control/report");
      const handler = name[0]?.toLowerCase() + name.slice(1);
      expect(reads(code, handler), handler).toBe(true);
      const below = input.fields.flatMap((field) =>
        field.message && !documentsOf.includes(field.message.typeName)
          ? [field, ...fieldsBelow(field.message).values()]
          : [field],
      );
      expect(below.filter(({ localName }) => !reads(code, localName)).map(keyOf)).toEqual([]);
    },
  );

  it("a rollout reads every field of its document", () => {
    const code = codeOf("control/rollout", "control/route");
    const unread = [...fieldsBelow(RolloutSchema).values()]
      .filter(({ parent }) => !["Metadata"].includes(parent.name))
      .filter(
        ({ localName, oneof }) =>
          !reads(code, localName) && !reads(code, oneof?.localName ?? "no oneof"),
      );
    expect(unread.map(keyOf)).toEqual(["Rollout.apiVersion"]);
  });

  it("a command reads every flag that it has", () => {
    const commandsOf = (command: Command): Command[] =>
      command.commands.flatMap((each) => [each, ...commandsOf(each)]);
    const code = codeOf(
      "control/auth",
      "control/cli",
      "control/publish",
      "control/service",
      "control/xds",
      "control/istio",
      "control/load",
      "control/oci",
      "control/rollout",
      "control/store",
    );
    const unread = commandsOf(createProgram("0"))
      .flatMap((command) => command.options)
      .filter(
        (option) =>
          (code.match(new RegExp(`\\b${option.attributeName()}\\b`, "g")) ?? []).length < 2,
      );
    expect(unread.map(({ long }) => long)).toEqual([]);
  });
});
