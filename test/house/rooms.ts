/**
 * A room is a folder of control/ or filters/: what it is for in one sentence, and which other
 * rooms it may import. Arrows only point down: from what runs to what is pure.
 */
export interface Room {
  is: string;
  imports: string[];
  /**
   * The folders in it, each with those that it may import. "." are the files that lie in the room
   * itself, as far as they are not named here; its index.ts may import them all.
   */
  parts?: Record<string, string[]>;
}

const control: Record<string, Room> = {
  text: {
    is: "limits on text from outside, and the part of it and of errors that a message shows",
    imports: [],
  },
  route: {
    is: "the domain: documents of routes, their checks, buckets and weights, and the filters' configuration",
    imports: ["text"],
    parts: {
      ".": [],
      hosts: ["."],
      filter: [".", "hosts"],
      validate: [".", "hosts", "filter"],
      document: [".", "validate"],
    },
  },
  etcd: { is: "the part of etcd's API that the store and the lease use", imports: ["text"] },
  kube: {
    is: "the part of the Kubernetes API that the store, the lease and the controller use",
    imports: ["text"],
  },
  auth: { is: "authentication and authorization of callers", imports: ["text"] },
  store: {
    is: "routes, rollouts, drills and the audit, in memory, lmdb, etcd or Kubernetes",
    imports: ["text", "route", "etcd", "kube"],
  },
  leader: {
    is: "leader election among replicas, and the ownership of routes",
    imports: ["etcd", "kube"],
  },
  report: {
    is: "the reports of filters: checks, sums, and the last minutes of them",
    imports: ["text"],
  },
  loads: { is: "how busy the pods of a route are", imports: ["text", "route"] },
  registration: {
    is: "the pods that register themselves: leases, refusals, and what replicas tell each other",
    imports: ["text", "route"],
  },
  peers: {
    is: "the exchange between replicas of the control service",
    imports: ["text", "route", "report"],
  },
  rollout: {
    is: "rollouts: a canary gets its users in steps, and loses them when a check fails",
    imports: ["text", "route", "store", "report", "loads"],
    parts: {
      judge: [],
      plan: ["judge"],
      machine: ["judge", "plan"],
      run: ["judge", "plan", "machine"],
      sources: ["plan", "machine", "run"],
      simulate: ["judge", "machine", "run"],
    },
  },
  signals: {
    is: "the last fifteen minutes of each variant, for the charts of the page",
    imports: ["report"],
  },
  metrics: { is: "the metrics of the control service for Prometheus", imports: ["report", "xds"] },
  objects: { is: "reads Kubernetes objects from files", imports: ["text", "route"] },
  lint: {
    is: "advice on a route and the objects around it",
    imports: ["text", "route", "objects"],
  },
  istio: {
    is: "renders a route as objects of Istio and the Gateway API",
    imports: ["route", "objects"],
    parts: {
      ".": [],
      text: ["."],
      objects: ["."],
      check: ["."],
      merge: [".", "text"],
      render: [".", "check", "objects"],
    },
  },
  controller: {
    is: "applies the objects of routes to a cluster, and corrects drift",
    imports: ["text", "route", "istio", "store", "leader", "kube", "lint"],
  },
  xds: {
    is: "the xDS server: resources of routes, streams, and the answers of proxies",
    imports: ["text", "route"],
  },
  envoy: { is: "finds or fetches an Envoy for the command line", imports: ["text"] },
  pods: { is: "fake inference servers for a first try", imports: [] },
  oci: { is: "filters as OCI images", imports: ["text"] },
  load: { is: "sends load and measures the responses", imports: [] },
  telemetry: { is: "logs and traces", imports: [] },
  drill: { is: "ends drills when their time is over", imports: ["text", "route", "store"] },
  publish: {
    is: "sends the stored routes to proxies, to one of them first, and reverts what that one refuses",
    imports: ["text", "route", "rollout", "store", "xds"],
  },
  web: { is: "the page", imports: [] },
  api: {
    is: "the services of the API",
    imports: [
      "text",
      "auth",
      "route",
      "store",
      "xds",
      "report",
      "rollout",
      "signals",
      "peers",
      "loads",
      "registration",
    ],
  },
  service: {
    is: "the control service: its ports, the limits of callers, and the wiring of all rooms",
    imports: [
      "auth",
      "leader",
      "peers",
      "publish",
      "api",
      "controller",
      "store",
      "xds",
      "report",
      "rollout",
      "signals",
      "drill",
      "telemetry",
      "metrics",
      "istio",
      "route",
      "loads",
      "registration",
      "web",
    ],
    parts: { calls: [], ports: ["calls"], wiring: ["ports"] },
  },
  cli: {
    is: "the command weir",
    imports: [
      "text",
      "auth",
      "store",
      "route",
      "rollout",
      "objects",
      "lint",
      "istio",
      "xds",
      "envoy",
      "pods",
      "oci",
      "load",
      "telemetry",
      "publish",
      "registration",
      "service",
    ],
    parts: { ".": [], commands: ["."], "program.ts": [".", "commands"] },
  },
  "main.ts": { is: "starts the command", imports: ["text", "cli"] },
};

const filters: Record<string, Room> = {
  sdk: {
    is: "the host as Proxy-Wasm has it: memory, headers, shared data, clock, metrics",
    imports: [],
  },
  "shared-table": {
    is: "the tables that all workers of a proxy change, and the list of all keys of shared data",
    imports: ["sdk"],
  },
  format: { is: "JSON, event streams, numbers, durations and hashes", imports: ["sdk"] },
  identity: {
    is: "the identity of a caller: headers, keys, claims, certificates, addresses",
    imports: ["sdk", "format"],
  },
  apis: {
    is: "the APIs that models are asked through: their paths, and the names in their bodies",
    imports: ["sdk", "format"],
  },
  match: { is: "which requests a policy is for", imports: ["sdk", "format"] },
  "model-name": {
    is: "which model a request's body names: JSON and forms, in pieces",
    imports: ["sdk", "format"],
  },
  pressure: {
    is: "measures whether this worker is late, so that optional work is left out",
    imports: ["sdk"],
  },
  document: {
    is: "the filters' configuration: routes by host, and their policies",
    imports: ["sdk", "format"],
  },
  report: {
    is: "the report of the proxy's counters, which one worker sends once a second",
    imports: ["sdk", "format", "document"],
  },
  refusal: { is: "answers to requests that are refused", imports: ["sdk", "format"] },
  plugin: {
    is: "the life of a filter: configured, ticking, one request begun",
    imports: ["sdk", "format", "document", "report"],
  },
  "rate-limit": {
    is: "limits of requests: by rate, in flight, under overload, over the fleet",
    imports: [
      "sdk",
      "shared-table",
      "format",
      "identity",
      "document",
      "report",
      "refusal",
      "plugin",
      "canary",
    ],
    parts: {
      "in-flight": [],
      bucket: ["in-flight"],
      overload: ["in-flight", "bucket"],
      "refusal.ts": ["bucket"],
      "config.ts": ["in-flight", "bucket", "overload"],
      caller: ["bucket", "refusal.ts", "config.ts"],
      concurrency: ["in-flight", "bucket", "overload", "refusal.ts", "config.ts"],
      fleet: ["in-flight", "bucket", "overload", "config.ts"],
      ".": [
        "in-flight",
        "bucket",
        "overload",
        "refusal.ts",
        "config.ts",
        "caller",
        "concurrency",
        "fleet",
      ],
    },
  },
  compression: {
    is: "whether an answer may be compressed",
    imports: ["sdk", "format", "match", "pressure", "document", "report"],
  },
  shadow: {
    is: "which requests are copied, and how copies are marked",
    imports: ["sdk", "format", "identity", "match", "pressure", "document", "report", "plugin"],
  },
  canary: {
    is: "which variant a user gets",
    imports: ["sdk", "shared-table", "format", "identity", "document", "report", "plugin"],
  },
  measure: {
    is: "times and counts of streams, by route, variant and tier",
    imports: ["sdk", "shared-table", "format", "report"],
  },
  "token-limit": {
    is: "limits of tokens, and the measurement of streams",
    imports: [
      "sdk",
      "shared-table",
      "format",
      "apis",
      "identity",
      "document",
      "refusal",
      "measure",
      "plugin",
    ],
    parts: {
      ".": [],
      budget: ["."],
      prompt: [".", "budget"],
      answer: [".", "budget", "prompt"],
    },
  },
  select: {
    is: "which route of a host that several share a request is for",
    imports: ["sdk", "format", "apis", "match", "document", "refusal", "plugin", "model-name"],
  },
  modules: {
    is: "the modules that are compiled, one file each: the callbacks that Envoy calls",
    imports: [
      "sdk",
      "document",
      "report",
      "measure",
      "plugin",
      "pressure",
      "rate-limit",
      "compression",
      "shadow",
      "canary",
      "token-limit",
      "select",
    ],
  },
};

/** Rooms of a side, by the name of their folder, or file. */
export const sides = { control, filters };

/**
 * Files besides a room's index.ts that others may import: what the command line needs of a room
 * without the rest of it, whose loading would make every command slower.
 */
export const sideDoors = [
  "control/auth/hosts.ts",
  "control/load/duration.ts",
  "control/publish/filter-code.ts",
  "control/route/document/editor-schema.ts",
  "control/store/default.ts",
  "control/telemetry/plain.ts",
  "control/xds/bootstrap.ts",
  "control/xds/overload-manager.ts",
  "control/xds/resources/options.ts",
];

/** The rooms of both sides as Markdown tables, as docs/architecture.md has them. */
export function roomTables(): string {
  return Object.entries(sides)
    .map(([side, rooms]) => {
      const rows = Object.entries(rooms).map(([name, { is, parts = {} }]) => {
        const folders = Object.keys(parts).filter((part) => !part.includes("."));
        const inside =
          folders.length === 0 ? "" : ` (${folders.map((each) => `\`${each}\``).join(", ")})`;
        return `| \`${side}/${name}\`${inside} | ${is} |`;
      });
      return ["| room | what it is for |", "| --- | --- |", ...rows].join("\n");
    })
    .join("\n\n");
}
