import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { createFrameReader, frame } from "../../../control/xds/frames.ts";

/** What a response holds, of either protocol. */
export interface Response {
  typeUrl: string;
  nonce: string;
  version: string;
  resources: Any[];
  /** Delta: names of the resources, and of those that are gone. */
  names: string[];
  removed: string[];
}

/** One ADS stream on a connection of its own. */
export interface Wire {
  session: ClientHttp2Session;
  stream: ClientHttp2Stream;
  /**
   * Subscribes to these names of a type.
   * @param known those it had subscribed to before; undefined: this is the first time
   * @param claim version that it says it runs
   */
  ask(typeUrl: string, names: string[], known: string[] | undefined, claim: string): void;
  /** @param refusal why it refuses; undefined: it takes it */
  answer(response: Response, names: string[], refusal: string | undefined): void;
  close(): void;
}

export interface WireOptions {
  port: number;
  token: string;
  node: string;
  onResponse(response: Response): void;
  onClose(): void;
}

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const maxResponseBytes = 64 << 20;

function open(
  { port, token, onClose }: WireOptions,
  method: string,
  onMessage: (bytes: Buffer) => void,
) {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": `${service}/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
  });
  const frames = createFrameReader(maxResponseBytes);
  stream.on("data", (chunk: Buffer) => {
    for (const message of frames.push(chunk)) onMessage(message);
  });
  stream.on("error", () => {});
  stream.on("end", () => stream.end());
  // A connection serves one stream: the next one is a new process, as it were.
  stream.on("close", () => {
    session.destroy();
    onClose();
  });
  const send = (message: Uint8Array) => {
    if (!stream.destroyed && !stream.writableEnded) stream.write(frame(message));
  };
  return { session, stream, send, close: () => session.destroy() };
}

const error = (refusal: string | undefined) =>
  refusal === undefined ? {} : { errorDetail: { code: 3, message: refusal } };

export function openSotw(options: WireOptions): Wire {
  const node = { id: options.node, cluster: "neighbours" };
  const { send, ...wire } = open(options, "StreamAggregatedResources", (bytes) => {
    const { typeUrl, nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, bytes);
    options.onResponse({
      typeUrl,
      nonce,
      version: versionInfo,
      resources,
      names: [],
      removed: [],
    });
  });
  const request = (init: object) =>
    send(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, init)));
  return {
    ...wire,
    ask: (typeUrl, resourceNames, _known, versionInfo) =>
      request({ typeUrl, resourceNames, versionInfo, node }),
    answer({ typeUrl, nonce, version }, resourceNames, refusal) {
      const versionInfo = refusal === undefined ? version : "";
      request({ typeUrl, resourceNames, versionInfo, responseNonce: nonce, ...error(refusal) });
    },
  };
}

export function openDelta(options: WireOptions): Wire {
  const node = { id: options.node, cluster: "neighbours" };
  const { send, ...wire } = open(options, "DeltaAggregatedResources", (bytes) => {
    const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const there = response.resources.filter(({ resource }) => resource !== undefined);
    options.onResponse({
      typeUrl: response.typeUrl,
      nonce: response.nonce,
      version: response.systemVersionInfo,
      resources: there.map(({ resource }) => resource as Any),
      names: there.map(({ name }) => name),
      removed: response.removedResources,
    });
  });
  const request = (init: object) =>
    send(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)));
  return {
    ...wire,
    ask(typeUrl, names, known, claim) {
      const subscribe = names.filter((name) => !known?.includes(name));
      const unsubscribe = (known ?? []).filter((name) => !names.includes(name));
      if (known && subscribe.length + unsubscribe.length === 0) return;
      request({
        typeUrl,
        resourceNamesSubscribe: subscribe,
        resourceNamesUnsubscribe: unsubscribe,
        initialResourceVersions: claim ? { weir: claim } : {},
        node,
      });
    },
    answer: ({ typeUrl, nonce }, _names, refusal) =>
      request({ typeUrl, responseNonce: nonce, ...error(refusal) }),
  };
}
