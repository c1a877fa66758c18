import http from "node:http";
import https from "node:https";
import { errorText } from "../text/error-text.ts";
import type { ClusterConfig } from "./config.ts";
import { KubeError, KubeUnreachableError, statusError } from "./errors.ts";
import { readLines } from "./lines.ts";
import type { KubeObject } from "./objects.ts";

/** Options of server-side apply: who writes. */
export interface WriteOptions {
  fieldManager: string;
  /** Checked by the API server as a real write is, and not done. */
  dryRun?: boolean;
}

/** One change of a watched collection. */
export interface WatchEvent {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  /** The object after the change; of a bookmark only its resourceVersion counts. */
  object: KubeObject;
}

/** The few requests of the Kubernetes API that Weir makes; paths come from objects.ts. */
export interface KubeClient {
  /** Namespace that the configuration names. */
  namespace: string;
  /** Undefined when there is none. */
  get(path: string): Promise<KubeObject | undefined>;
  /** Page by page, so that memory stays bounded; returns the version to watch from. */
  list(path: string, selector: string, page: (items: KubeObject[]) => void): Promise<string>;
  create(path: string, object: object, options: WriteOptions): Promise<KubeObject>;
  /** Replaces the object whose resourceVersion the given one carries. */
  replace(path: string, object: object, options: WriteOptions): Promise<KubeObject>;
  /** JSON merge patch. */
  merge(path: string, patch: object, options: WriteOptions): Promise<KubeObject>;
  /** Server-side apply; force takes over fields that other managers own. */
  apply(
    path: string,
    object: object,
    options: WriteOptions & { force?: boolean },
  ): Promise<KubeObject>;
  /** False when there was none. */
  delete(
    path: string,
    preconditions?: { uid?: string; resourceVersion?: string },
  ): Promise<boolean>;
  /** Changes after a version, until the server ends the stream or the signal aborts. */
  watch(
    path: string,
    selector: string,
    after: string,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent>;
  close(): void;
}

const requestTimeoutMs = 15_000;
/** The server ends a watch after this; the client opens the next one where it ended. */
const watchSeconds = 240;
const pageSize = 250;

/**
 * Makes a client of one API server. A request may take 15 seconds; its calls throw KubeError for
 * answers that refuse, and KubeUnreachableError where there is none.
 */
export function createKubeClient(config: ClusterConfig): KubeClient {
  const base = new URL(config.server);
  const secure = base.protocol === "https:";
  const agentOptions = { keepAlive: true, keepAliveMsecs: 10_000, maxSockets: 16 };
  const agent = secure
    ? new https.Agent({
        ...agentOptions,
        ...(config.ca ? { ca: config.ca } : {}),
        ...(config.cert ? { cert: config.cert } : {}),
        ...(config.key ? { key: config.key } : {}),
        ...(config.serverName ? { servername: config.serverName } : {}),
        rejectUnauthorized: config.insecure !== true,
      })
    : new http.Agent(agentOptions);

  function open(
    method: string,
    path: string,
    query: Record<string, string>,
    contentType: string,
    body: string | undefined,
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const search = new URLSearchParams(query).toString();
    const headers: Record<string, string> = { accept: "application/json" };
    if (config.token) headers.authorization = `Bearer ${config.token()}`;
    if (body !== undefined) {
      headers["content-type"] = contentType;
      headers["content-length"] = String(Buffer.byteLength(body));
    }
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent, ...(signal ? { signal } : {}) };
      const url = new URL(
        `${base.pathname.replace(/\/$/, "")}${path}${search ? `?${search}` : ""}`,
        base,
      );
      const request = (secure ? https : http).request(url, options, resolve);
      // A watch is silent for long; a dead connection is found by TCP's own probes.
      if (signal === undefined)
        request.setTimeout(requestTimeoutMs, () =>
          request.destroy(new Error(`no answer within ${requestTimeoutMs / 1000} s`)),
        );
      request.on("error", (error) => reject(unreachable(config.server, error)));
      request.end(body);
    });
  }

  async function send(
    method: string,
    path: string,
    query: Record<string, string> = {},
    body?: object,
    contentType = "application/json",
  ): Promise<unknown> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await open(method, path, query, contentType, text);
    const answer = await readBody(response, config.server);
    const status = response.statusCode ?? 0;
    if (status >= 300) throw statusError(status, answer, response.headers["retry-after"]);
    try {
      return JSON.parse(answer);
    } catch (error) {
      throw unreachable(config.server, error);
    }
  }

  const write = (
    method: string,
    path: string,
    object: object,
    { fieldManager, dryRun, force }: WriteOptions & { force?: boolean },
    contentType?: string,
  ) => {
    const query = {
      fieldManager,
      // Unknown fields would be dropped in silence otherwise.
      fieldValidation: "Strict",
      ...(dryRun ? { dryRun: "All" } : {}),
      ...(force === undefined ? {} : { force: String(force) }),
    };
    return send(method, path, query, object, contentType) as Promise<KubeObject>;
  };

  return {
    namespace: config.namespace,
    async get(path) {
      return (await orUndefined(send("GET", path))) as KubeObject | undefined;
    },
    async list(path, selector, page) {
      let next: string | undefined;
      let version = "";
      do {
        const query = {
          limit: String(pageSize),
          ...(selector ? { labelSelector: selector } : {}),
          ...(next ? { continue: next } : {}),
        };
        const answer = (await send("GET", path, query)) as {
          metadata: { resourceVersion: string; continue?: string };
          kind: string;
          apiVersion: string;
          items: KubeObject[];
        };
        // Items of a list do not repeat what kind they are.
        const kind = answer.kind.replace(/List$/, "");
        page(answer.items.map((item) => ({ ...item, kind, apiVersion: answer.apiVersion })));
        version = answer.metadata.resourceVersion;
        next = answer.metadata.continue;
      } while (next);
      return version;
    },
    create: (path, object, options) => write("POST", path, object, options),
    replace: (path, object, options) => write("PUT", path, object, options),
    merge: (path, patch, options) =>
      write("PATCH", path, patch, options, "application/merge-patch+json"),
    apply: (path, object, options) =>
      write("PATCH", path, object, { force: false, ...options }, "application/apply-patch+yaml"),
    async delete(path, preconditions) {
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: "Background",
        ...(preconditions ? { preconditions } : {}),
      };
      return (await orUndefined(send("DELETE", path, {}, body))) !== undefined;
    },
    async *watch(path, selector, after, signal) {
      const query = {
        watch: "true",
        resourceVersion: after,
        allowWatchBookmarks: "true",
        timeoutSeconds: String(watchSeconds),
        ...(selector ? { labelSelector: selector } : {}),
      };
      const response = await open("GET", path, query, "", undefined, signal);
      response.socket.setKeepAlive(true, 10_000);
      const status = response.statusCode ?? 0;
      if (status >= 300) throw statusError(status, await readBody(response, config.server));
      try {
        for await (const line of readLines(response)) {
          const event = JSON.parse(line) as
            | WatchEvent
            | { type: "ERROR"; object: { code: number } };
          if (event.type === "ERROR")
            throw statusError(event.object.code, JSON.stringify(event.object));
          yield event;
        }
      } catch (error) {
        if (error instanceof KubeError) throw error;
        if (!signal.aborted) throw unreachable(config.server, error);
      } finally {
        response.destroy();
      }
    },
    close: () => agent.destroy(),
  };
}

async function readBody(response: http.IncomingMessage, server: string): Promise<string> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString("utf8");
  } catch (error) {
    throw unreachable(server, error);
  }
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return undefined;
    throw error;
  }
}

function unreachable(server: string, error: unknown): KubeUnreachableError {
  const reason = errorText(error);
  return new KubeUnreachableError(`the API server ${server} cannot be reached: ${reason}`);
}
