import { readFileSync } from "node:fs";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  AuditService,
  FleetService,
  ProblemsSchema,
  RouteService,
} from "../gen/weir/v1/service_pb.ts";
import { SignalService } from "../gen/weir/v1/signals_pb.ts";
import { FailedError, UsageError } from "./exit.ts";

export interface ServerFlags {
  server?: string;
  tokenFile?: string;
}

export interface Clients {
  routes: Client<typeof RouteService>;
  fleet: Client<typeof FleetService>;
  audit: Client<typeof AuditService>;
  signals: Client<typeof SignalService>;
}

const defaultServer = "http://127.0.0.1:8080";

/** Runs work against the control service; what it refuses becomes lines that say why. */
export async function withServer<T>(
  flags: ServerFlags,
  work: (clients: Clients) => Promise<T>,
): Promise<T> {
  const server = flags.server ?? process.env.WEIR_SERVER ?? defaultServer;
  const baseUrl = /^https?:\/\//.test(server) ? server : `http://${server}`;
  const token = readToken(flags.tokenFile);
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    defaultTimeoutMs: 30_000,
    interceptors: [
      (next) => (request) => {
        if (token) request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  try {
    return await work({
      routes: createClient(RouteService, transport),
      fleet: createClient(FleetService, transport),
      audit: createClient(AuditService, transport),
      signals: createClient(SignalService, transport),
    });
  } catch (error) {
    throw explain(error, baseUrl);
  }
}

/** The token for or of a server: from a file, or from WEIR_TOKEN. */
export function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.WEIR_TOKEN || undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new UsageError(
      `cannot read the token file ${file}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function explain(error: unknown, server: string): unknown {
  if (!(error instanceof ConnectError)) return error;
  const problems = error.findDetails(ProblemsSchema).flatMap((detail) => detail.problems);
  if (problems.length > 0)
    return new FailedError(
      problems
        .map(({ path, message, code }) => `${path ? `${path}: ` : ""}${message} [${code}]`)
        .join("\n"),
    );
  if (
    error.code === Code.Unavailable &&
    /ECONNREFUSED|ENOTFOUND|ECONNRESET|EHOSTUNREACH/.test(error.message)
  )
    return new FailedError(
      `no control service answers at ${server}; start one with "weir serve", or name another with --server or WEIR_SERVER`,
    );
  if (error.code === Code.Unimplemented)
    return new FailedError(
      `the control service at ${server} does not know this call; is it of another version?`,
    );
  return new FailedError(error.rawMessage);
}
