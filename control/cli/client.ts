import { readFileSync } from "node:fs";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { EndpointService } from "../gen/weir/v1/endpoint_pb.ts";
import { RolloutService } from "../gen/weir/v1/rollout_pb.ts";
import {
  AuditService,
  FleetService,
  ProblemsSchema,
  RouteService,
} from "../gen/weir/v1/service_pb.ts";
import { SignalService } from "../gen/weir/v1/signals_pb.ts";
import { errorText } from "../text/error-text.ts";
import { comeBack } from "./come-back.ts";
import { FailedError, UsageError } from "./exit.ts";
import { similarTo } from "./similar.ts";
import { isCutOff } from "./watch.ts";

export interface ServerFlags {
  server?: string;
  tokenFile?: string;
  /** PEM files: the server's authority, and a certificate with its key instead of a token. */
  ca?: string;
  cert?: string;
  key?: string;
}

export interface Clients {
  routes: Client<typeof RouteService>;
  fleet: Client<typeof FleetService>;
  audit: Client<typeof AuditService>;
  rollouts: Client<typeof RolloutService>;
  signals: Client<typeof SignalService>;
  endpoints: Client<typeof EndpointService>;
}

/** Timeout for looking up names that only improve an error message. */
const patienceMs = 1000;
const defaultServer = "http://127.0.0.1:8080";

/** Runs work against the control service; its errors become FailedErrors with a line for each problem. */
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
    nodeOptions: tlsOf(flags),
    defaultTimeoutMs: 30_000,
    interceptors: [
      (next) => (request) => {
        if (token) request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
      warnOfStale,
      comeBack((line) => process.stderr.write(`${line}\n`)),
    ],
  });
  const clients = {
    routes: createClient(RouteService, transport),
    fleet: createClient(FleetService, transport),
    audit: createClient(AuditService, transport),
    rollouts: createClient(RolloutService, transport),
    signals: createClient(SignalService, transport),
    endpoints: createClient(EndpointService, transport),
  };
  try {
    return await work(clients);
  } catch (error) {
    throw (await unknownRoute(error, clients)) ?? explain(error, baseUrl);
  }
}

/** A route that is not there may have been a typo of one that the caller may see. */
async function unknownRoute(error: unknown, { routes }: Clients): Promise<FailedError | undefined> {
  if (!(error instanceof ConnectError) || error.code !== Code.NotFound) return undefined;
  const unknown = error.metadata.get("weir-unknown-route");
  if (unknown === null) return undefined;
  const name = decodeURI(unknown).split("/").at(-1) ?? "";
  const known = await routes.listRoutes({}, { timeoutMs: patienceMs }).catch(() => undefined);
  const names = (known?.routes ?? []).map(({ state }) => state?.route?.metadata?.name ?? "");
  const meant = similarTo(name, [...new Set(names)]);
  if (meant.length === 0) return undefined;
  return new FailedError(`${error.rawMessage}\n(Did you mean ${meant.join(", ")}?)`);
}

/** The token for or of a server: from a file, or from WEIR_TOKEN. */
export function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.WEIR_TOKEN || undefined;
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new UsageError(`cannot read the token file ${file}: ${errorText(error)}`);
  }
  // An empty token would mean no authentication, which a user who names a file does not want.
  if (token === "") throw new UsageError(`the token file ${file} is empty`);
  return token;
}

const warnOfStale: Interceptor = (next) => async (request) => {
  const response = await next(request);
  const since = response.header.get("weir-stale-since");
  if (since)
    process.stderr.write(
      `warning: the control service cannot reach its store; this answer shows the state at ${since}\n`,
    );
  const damaged = response.header.get("weir-store-damaged");
  if (damaged)
    process.stderr.write(
      `warning: damaged in the store, showing the last known version: ${decodeURI(damaged)}\n`,
    );
  const holding = response.header.get("weir-holding");
  if (holding) process.stderr.write(`warning: ${decodeURI(holding)}\n`);
  return response;
};

/** TLS of a client, from flags or WEIR_CA, WEIR_CERT and WEIR_KEY. */
function tlsOf(flags: ServerFlags): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  const read = (name: "ca" | "cert" | "key") => {
    const file = flags[name] ?? process.env[`WEIR_${name.toUpperCase()}`];
    if (!file) return {};
    try {
      return { [name]: readFileSync(file) };
    } catch (error) {
      throw new UsageError(`cannot read the ${name} file ${file}: ${errorText(error)}`);
    }
  };
  return { ...read("ca"), ...read("cert"), ...read("key") };
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
  if (/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|CERT_|self-signed|unable to verify/.test(error.message))
    return new FailedError(
      `the certificate of ${server} is not trusted: give its certificate authority with --ca or WEIR_CA`,
    );
  if (isCutOff(error))
    return new FailedError(
      `the control service at ${server} closed the connection before it answered: the change may have been made; check with "weir audit"`,
    );
  if (error.code === Code.Unimplemented)
    return new FailedError(
      `the control service at ${server} does not know this call; it may run another version of weir`,
    );
  return new FailedError(error.rawMessage);
}
