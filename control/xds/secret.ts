import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import {
  type Secret,
  SecretSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { deltaResponse, sotwResponse } from "./encode.ts";
import { reportSecretName } from "./resources/options.ts";
import { digestOf, type EncodedResource, encodeResource } from "./snapshot.ts";

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
  /** SotW: version of all secrets that the proxy says it has. */
  version: string;
  /** Delta: versions of single secrets that the proxy says it has, by name. */
  initialVersions: Readonly<Record<string, string>>;
}

/** One stream's secrets. They are part of no snapshot: what is sent to one node is no one else's. */
export interface SecretStream {
  receive(request: SecretRequest): void;
  /** The frame to send, if the proxy asked for secrets that it has not in this version. */
  next(): Buffer | undefined;
}

/** @param current the secrets that the node may ask for now */
export function createSecretStream(
  current: () => readonly EncodedResource[],
  refused: (version: string, message: string) => void,
): SecretStream {
  let delta = false;
  const wanted = new Set<string>();
  /** Versions that the proxy was sent or says it has, by name. */
  const sent = new Map<string, string>();
  let sentVersion = "";
  let nonce = 0;

  const newest = () => current().filter(({ name }) => wanted.has(name));

  function subscribe({ names, unsubscribed }: SecretRequest): void {
    if (!delta) wanted.clear();
    for (const name of names) wanted.add(name);
    for (const name of unsubscribed) wanted.delete(name);
    for (const name of sent.keys()) if (!wanted.has(name)) sent.delete(name);
  }

  /** A proxy that came back with what it would be sent needs nothing. */
  function resume({ version, initialVersions }: SecretRequest): void {
    const secrets = newest();
    const all = !delta && version === digestOf(secrets);
    for (const { name, version } of secrets)
      if (all || initialVersions[name] === version) sent.set(name, version);
  }

  return {
    receive(request) {
      delta = request.delta;
      // An answer to something older than what was sent last still carries its subscription.
      subscribe(request);
      if (request.nonce === "") resume(request);
      else if (request.refusal !== undefined) refused(sentVersion, request.refusal);
    },
    next() {
      const secrets = newest();
      // One that did not change is not sent again: the proxy would read its files anew.
      const due = secrets.filter(({ name, version }) => sent.get(name) !== version);
      if (due.length === 0) return undefined;
      for (const { name, version } of due) sent.set(name, version);
      sentVersion = digestOf(secrets);
      nonce++;
      return delta
        ? deltaResponse(secretUrl, sentVersion, String(nonce), due, [])
        : sotwResponse(secretUrl, sentVersion, String(nonce), due);
    },
  };
}

/** Secrets as they are sent; they hold names of files on the proxies' machines, or one node's token. */
export function encodeSecrets(secrets: readonly Secret[]): EncodedResource[] {
  return secrets.map((secret) =>
    encodeResource(secret.name, toBinary(AnySchema, anyPack(SecretSchema, secret))),
  );
}

/** The secret that one node's token is sent as, encoded anew only for another token. */
export function createReportSecret(token: () => string): () => EncodedResource[] {
  let known: { token: string; encoded: EncodedResource[] } | undefined;
  return () => {
    const value = token();
    if (known?.token !== value) known = { token: value, encoded: encodeSecrets([report(value)]) };
    return known.encoded;
  };
}

function report(token: string): Secret {
  return create(SecretSchema, {
    name: reportSecretName,
    type: {
      case: "genericSecret",
      value: { secret: { specifier: { case: "inlineString", value: `Bearer ${token}` } } },
    },
  });
}
