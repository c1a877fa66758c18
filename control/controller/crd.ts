import { comments } from "../gen/weir/v1/comments.ts";
import { ChangeRecordSchema, RouteStatusSchema } from "../gen/weir/v1/kubernetes_pb.ts";
import { RouteSpecSchema } from "../gen/weir/v1/route_pb.ts";
import { type JsonSchema, schemaOf } from "../route/index.ts";
import { specRules } from "./rules.ts";
import { type Rule, structural } from "./structural.ts";

const group = "weir.dev";
const version = "v1alpha1";

/** The custom resource definitions Weir installs, made from the protos. */
export function customResources(): JsonSchema[] {
  return [inferenceRoutes(), routeChanges()];
}

function inferenceRoutes(): JsonSchema {
  const spec = structural(schemaOf(RouteSpecSchema, comments));
  for (const [path, rules] of Object.entries(specRules)) addRules(spec, path, rules);
  // Entries are keyed by name, so that the owner of a weight owns only that field.
  const variants = schemaAt(spec, "variants");
  variants["x-kubernetes-list-type"] = "map";
  variants["x-kubernetes-list-map-keys"] = ["name"];
  for (const path of ["hosts", "gateways", "compression.algorithms"])
    schemaAt(spec, path)["x-kubernetes-list-type"] = "set";
  return definition({
    kind: "InferenceRoute",
    plural: "inferenceroutes",
    shortNames: ["ir"],
    description:
      "InferenceRoute describes one inference service: who may call it how often, which variants answer, and how the proxies in front of it behave.",
    schema: {
      spec: { description: "Says what the route does.", ...spec },
      status: {
        description: "Reports what the controller found; only the controller writes it.",
        ...structural(schemaOf(RouteStatusSchema, comments)),
      },
      metadata: { type: "object", properties: { name: { type: "string", maxLength: 63 } } },
    },
    required: ["spec"],
    status: true,
    columns: [
      { name: "Hosts", type: "string", jsonPath: ".spec.hosts" },
      { name: "Variants", type: "string", jsonPath: ".spec.variants[*].name" },
      { name: "Weights", type: "string", jsonPath: ".spec.variants[*].weight" },
      condition("Accepted"),
      condition("Applied"),
      { name: "Proxies", type: "integer", jsonPath: ".status.proxies.applied" },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    ],
  });
}

function routeChanges(): JsonSchema {
  const spec = structural(schemaOf(ChangeRecordSchema, comments));
  addRules(spec, "", [{ rule: "self == oldSelf", message: "a recorded change cannot be edited" }]);
  return definition({
    kind: "RouteChange",
    plural: "routechanges",
    shortNames: [],
    description: "RouteChange is one entry of the audit of all changes of InferenceRoutes.",
    schema: { spec: { description: "Records the change; nobody can change it.", ...spec } },
    required: ["spec"],
    status: false,
    columns: [
      { name: "Route", type: "string", jsonPath: ".spec.route" },
      { name: "Action", type: "string", jsonPath: ".spec.action" },
      { name: "By", type: "string", jsonPath: ".spec.principal" },
      { name: "Reason", type: "string", jsonPath: ".spec.reason" },
      { name: "At", type: "date", jsonPath: ".spec.at" },
    ],
  });
}

interface Definition {
  kind: string;
  plural: string;
  shortNames: string[];
  description: string;
  schema: Record<string, JsonSchema>;
  required: string[];
  status: boolean;
  columns: JsonSchema[];
}

function definition(of: Definition): JsonSchema {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${of.plural}.${group}`,
      labels: { "app.kubernetes.io/part-of": "weir" },
    },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind: of.kind,
        listKind: `${of.kind}List`,
        plural: of.plural,
        singular: of.kind.toLowerCase(),
        ...(of.shortNames.length > 0 ? { shortNames: of.shortNames } : {}),
        categories: ["weir"],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          ...(of.status ? { subresources: { status: {} } } : {}),
          additionalPrinterColumns: of.columns,
          schema: {
            openAPIV3Schema: {
              type: "object",
              description: of.description,
              required: of.required,
              properties: {
                apiVersion: { type: "string", description: `Always "${group}/${version}".` },
                kind: { type: "string", description: `Always "${of.kind}".` },
                // The API server has its own schema for metadata and refuses any other.
                metadata: { type: "object" },
                ...of.schema,
              },
            },
          },
        },
      ],
    },
  };
}

function condition(type: string): JsonSchema {
  const jsonPath = `.status.conditions[?(@.type=="${type}")].status`;
  return { name: type, type: "string", jsonPath };
}

function addRules(root: JsonSchema, path: string, rules: Rule[]): void {
  const schema = schemaAt(root, path);
  const known = (schema["x-kubernetes-validations"] ?? []) as Rule[];
  schema["x-kubernetes-validations"] = [...known, ...rules];
}

/** The schema of a field: names joined by dots, "*" for the values of a map. */
function schemaAt(root: JsonSchema, path: string): JsonSchema {
  let at = root;
  for (const name of path === "" ? [] : path.split(".")) {
    const next =
      name === "*"
        ? (at.additionalProperties as JsonSchema | undefined)
        : (at.properties as Record<string, JsonSchema>)[name];
    if (next === undefined) throw new Error(`the schema has no ${path}`);
    at = next;
  }
  return at;
}
