import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ClientDuplexStream, credentials, Client as GrpcClient } from "@grpc/grpc-js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { TypeName } from "../../../control/xds/index.ts";
import { probes, type Revisions, resourceIn, urlOf } from "./world.ts";

export type ProtocolName = "state of the world" | "delta";
export type SotwFields = MessageInitShape<typeof DiscoveryRequestSchema>;
export type DeltaFields = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;

/** A response of either protocol. */
export interface Response {
  url: string;
  nonce: string;
  version: string;
  resources: Revisions;
  /** Delta: versions of the resources. */
  versions: Record<string, string>;
  /** Delta: what the server says is not there. */
  removed: readonly string[];
}

/** What a request may say besides what the client keeps track of. */
export interface Extra {
  nonce?: string;
  version?: string;
  refusal?: { code?: number; message: string };
  initial?: Record<string, string>;
  node?: { id: string } | undefined;
}

/** A client of ADS on the gRPC library of others; it asks, answers and keeps what it was told. */
export interface Client {
  readonly protocol: ProtocolName;
  /** Wants exactly these names of a type from now on: delta asks for the difference. */
  want(type: TypeName, names: readonly string[], extra?: Extra): void;
  /** Delta: asks for names and lets go of others, as said. */
  change(
    type: TypeName,
    subscribe: readonly string[],
    unsubscribe?: readonly string[],
    extra?: Extra,
  ): void;
  /** Accepts the newest response of a type, or the one given. */
  ack(type: TypeName, response?: Response): void;
  nack(type: TypeName, message: string, response?: Response): void;
  /** The next response of a type; others that came before it stay. */
  next(type: TypeName): Promise<Response>;
  /** Waits until the server has handled everything so far: what it has sent by then has come. */
  settled(): Promise<void>;
  /** That nothing came that was not taken by next(). */
  silence(): Promise<void>;
  /** Types of the responses that came and were not taken, in their order. */
  waiting(): string[];
  /** What it has of a type by all responses so far. */
  has(type: TypeName): Revisions;
  /** Delta: the versions of what it has. */
  versions(type: TypeName): Record<string, string>;
  /** Sends a request as it stands. */
  raw(fields: SotwFields & DeltaFields): void;
  /** The gRPC status that the call ended with. */
  ended: Promise<{ code: number; details: string }>;
  halfClose(): void;
  close(): void;
}

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

/** Requests and responses of both protocols as bytes. */
export const codecs = {
  "state of the world": {
    method: "StreamAggregatedResources",
    encode: (fields: SotwFields) =>
      Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, fields))),
    decode(bytes: Buffer): Response {
      const { typeUrl, nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, bytes);
      const found = resources.map(resourceIn);
      if (new Set(found.map(({ name }) => name)).size < found.length)
        throw new Error("a response has a name twice");
      return {
        url: typeUrl,
        nonce,
        version: versionInfo,
        resources: Object.fromEntries(found.map(({ name, revision }) => [name, revision])),
        versions: {},
        removed: [],
      };
    },
  },
  delta: {
    method: "DeltaAggregatedResources",
    encode: (fields: DeltaFields) =>
      Buffer.from(
        toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, fields)),
      ),
    decode(bytes: Buffer): Response {
      const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
      const resources = message.resources.map(({ name, version, resource }) => {
        if (resource === undefined) throw new Error(`${name} is empty`);
        return { name, version, revision: resourceIn(resource).revision };
      });
      const names = [...resources.map(({ name }) => name), ...message.removedResources];
      if (new Set(names).size < names.length) throw new Error("a response has a name twice");
      return {
        url: message.typeUrl,
        nonce: message.nonce,
        version: message.systemVersionInfo,
        resources: Object.fromEntries(resources.map(({ name, revision }) => [name, revision])),
        versions: Object.fromEntries(resources.map(({ name, version }) => [name, version])),
        removed: message.removedResources,
      };
    },
  },
};

/** @param nodeId said in the first request alone */
export function connectClient(port: number, protocol: ProtocolName, nodeId = "client"): Client {
  const grpc = new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const { method, encode, decode } = codecs[protocol];
  const call: ClientDuplexStream<SotwFields & DeltaFields, Response> = grpc.makeBidiStreamRequest(
    `${service}/${method}`,
    encode as (fields: SotwFields & DeltaFields) => Buffer,
    decode,
  );
  let node: { id: string } | undefined = { id: nodeId };
  const came: Response[] = [];
  const newest = new Map<string, Response>();
  const held = new Map<string, Map<string, { revision: number; version: string }>>();
  const wanted = new Map<TypeName, readonly string[]>();
  const accepted = new Map<string, string>();
  let probe = 0;
  let wake = () => {};
  let failure: Error | undefined;

  call.on("data", (response: Response) => {
    const { url, resources, versions, removed } = response;
    newest.set(url, response);
    const has = held.get(url) ?? new Map();
    held.set(url, has);
    const whole = protocol !== "delta" && (url === urlOf("CDS") || url === urlOf("LDS"));
    if (whole) has.clear();
    for (const name of removed) has.delete(name);
    for (const [name, revision] of Object.entries(resources))
      has.set(name, { revision, version: versions[name] ?? "" });
    came.push(response);
    wake();
  });
  call.on("error", (error) => {
    failure = error;
    wake();
  });
  const ended = new Promise<{ code: number; details: string }>((resolve) =>
    call.on("status", ({ code, details }) => resolve({ code, details })),
  );

  function raw(fields: SotwFields & DeltaFields): void {
    call.write(fields);
  }

  function request(type: TypeName, extra: Extra, fields: SotwFields | DeltaFields): void {
    const { nonce = "", version, refusal, initial } = extra;
    raw({
      typeUrl: urlOf(type),
      responseNonce: nonce,
      ...("node" in extra ? { node: extra.node } : { node }),
      ...(refusal ? { errorDetail: refusal } : {}),
      ...(protocol === "delta"
        ? { initialResourceVersions: initial ?? {} }
        : { versionInfo: version ?? accepted.get(urlOf(type)) ?? "" }),
      ...fields,
    } as SotwFields & DeltaFields);
    node = undefined;
  }

  async function until(condition: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (!condition()) {
      if (failure) throw failure;
      if (performance.now() > deadline)
        throw new Error(
          `${what} did not come; what came: ${came.map(({ url }) => url).join(", ")}`,
        );
      const timer = setTimeout(() => wake(), 1000);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      clearTimeout(timer);
    }
  }

  function answer(type: TypeName, response: Response | undefined, message?: string): void {
    const url = urlOf(type);
    const to = response ?? newest.get(url);
    if (to === undefined) throw new Error(`no response of ${type} to answer`);
    if (message === undefined) accepted.set(url, to.version);
    request(
      type,
      { nonce: to.nonce, ...(message === undefined ? {} : { refusal: { code: 13, message } }) },
      protocol === "delta" ? {} : { resourceNames: [...(wanted.get(type) ?? [])] },
    );
  }

  async function settled(): Promise<void> {
    const name = probes[probe++] ?? "";
    const names = probes.slice(0, probe);
    const url = urlOf("RDS");
    const nonce = protocol === "delta" ? "" : (newest.get(url)?.nonce ?? "");
    request(
      "RDS",
      { nonce },
      protocol === "delta" ? { resourceNamesSubscribe: [name] } : { resourceNames: names },
    );
    const probing = (each: Response) => each.url === url && each.resources[name] !== undefined;
    await until(() => came.some(probing), "the answer to a probe");
    came.splice(0, came.length, ...came.filter((each) => each.url !== url));
  }

  return {
    protocol,
    raw,
    ended,
    want(type, names, extra = {}) {
      const before = wanted.get(type) ?? [];
      wanted.set(type, names);
      const subscribe = names.filter((name) => !before.includes(name));
      const unsubscribe = before.filter((name) => !names.includes(name));
      request(
        type,
        { nonce: protocol === "delta" ? "" : (newest.get(urlOf(type))?.nonce ?? ""), ...extra },
        protocol === "delta"
          ? { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe }
          : { resourceNames: [...names] },
      );
    },
    change(type, subscribe, unsubscribe = [], extra = {}) {
      request(type, extra, {
        resourceNamesSubscribe: [...subscribe],
        resourceNamesUnsubscribe: [...unsubscribe],
      });
    },
    ack: (type, response) => answer(type, response),
    nack: (type, message, response) => answer(type, response, message),
    async next(type) {
      const of = (each: Response) => each.url === urlOf(type);
      await until(() => came.some(of), `a response of ${type}`);
      return came.splice(came.findIndex(of), 1)[0] as Response;
    },
    settled,
    async silence() {
      await settled();
      if (came.length > 0)
        throw new Error(`responses that nothing called for: ${JSON.stringify(came)}`);
    },
    waiting: () => came.map(({ url }) => url),
    has: (type) =>
      Object.fromEntries(
        [...(held.get(urlOf(type)) ?? [])].map(([name, { revision }]) => [name, revision]),
      ),
    versions: (type) =>
      Object.fromEntries(
        [...(held.get(urlOf(type)) ?? [])].map(([name, { version }]) => [name, version]),
      ),
    halfClose: () => call.end(),
    close() {
      call.cancel();
      grpc.close();
    },
  };
}
