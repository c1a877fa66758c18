import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { deltaResponse, sotwResponse } from "./encode.ts";
import { reportSecretName } from "./resources/options.ts";

export const secretUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/** What a node shows when it reports: of one node alone, and another one from time to time. */
export type SecretOf = (node: string, scope: readonly string[]) => string;

/** A request for secrets, of either protocol. */
export interface SecretRequest {
  delta: boolean;
  nonce: string;
  refusal?: string;
  /** Names that are asked for: all of them, or with delta those that come to the others. */
  names: readonly string[];
  unsubscribed: readonly string[];
  /** What the proxy says it has: the version of the answer, with delta those of single secrets. */
  version: string;
}

/** One stream's secret. It is part of no snapshot: what is sent to one node is no one else's. */
export interface SecretStream {
  receive(request: SecretRequest): void;
  /** The frame to send, if the proxy asked for the secret and has not this one. */
  next(): Buffer | undefined;
}

/** @param current what the node has to show now */
export function createSecretStream(
  current: () => string,
  refused: (version: string, message: string) => void,
): SecretStream {
  let delta = false;
  let wanted = false;
  let sent = "";
  let nonce = 0;
  let known: { value: string; version: string } | undefined;

  function newest() {
    const value = current();
    if (known?.value !== value) known = { value, version: digest(value) };
    return known;
  }

  return {
    receive(request) {
      delta = request.delta;
      // An answer to something older than what was sent last still carries its subscription.
      const named = request.names.includes(reportSecretName);
      if (!delta || named) wanted = named;
      if (request.unsubscribed.includes(reportSecretName)) wanted = false;
      if (!wanted) sent = "";
      if (request.nonce === "") {
        // A proxy that came back with what it would be sent needs nothing.
        if (wanted && request.version === newest().version) sent = request.version;
      } else if (request.refusal !== undefined) refused(sent, request.refusal);
    },
    next() {
      if (!wanted) return undefined;
      const { value, version } = newest();
      if (version === sent) return undefined;
      sent = version;
      nonce++;
      const resources = [{ name: reportSecretName, version, any: encoded(value) }];
      return delta
        ? deltaResponse(secretUrl, version, String(nonce), resources, [])
        : sotwResponse(secretUrl, version, String(nonce), resources);
    },
  };
}

function encoded(token: string): Uint8Array {
  const secret = create(SecretSchema, {
    name: reportSecretName,
    type: {
      case: "genericSecret",
      value: { secret: { specifier: { case: "inlineString", value: `Bearer ${token}` } } },
    },
  });
  return toBinary(AnySchema, anyPack(SecretSchema, secret));
}

function digest(value: string): string {
  return createHash("sha256").update(value).digest("hex").slice(0, 16);
}
