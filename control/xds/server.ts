import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Snapshot } from "./snapshot.ts";

/** What the xDS server logs. */
export interface XdsLog {
  nack(node: string, type: string, version: string, message: string): void;
  /** A proxy came with something that it runs already. */
  runs?(node: string): void;
  /** Whether no proxy is sent anything for now. */
  holds?(): boolean;
}

/** The xDS server, to be mounted on an HTTP/2 server. */
export interface XdsServer {
  /**
   * Takes the stream if it is for ADS; false leaves it to others.
   * @param scope namespaces whose routes the node may have; undefined: it may not speak for this node
   */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, scope?: ScopeOf): boolean;
  /**
   * Sends to every stream what it has not and wants.
   * @param snapshot for all of them, or asked for each proxy by its scope and node
   */
  publish(snapshot: Snapshot | SnapshotOf): void;
  /** Ends all streams; proxies keep what they have and reconnect. */
  close(): void;
}

/** The snapshot for a proxy with these namespaces. */
export type SnapshotOf = (scope: readonly string[], node: string) => Snapshot;

/** Namespaces that the peer of a stream may have for a node. */
export type ScopeOf = (node: string) => readonly string[] | undefined;
