import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { TLSSocket } from "node:tls";

// A page of any site may send requests to whatever its reader's browser reaches, and by
// giving its own name a loopback address (DNS rebinding) it becomes of one origin with
// what listens there. The page cannot choose what the browser writes into Host, Origin and
// Sec-Fetch-Site (Fetch, sections 3.2 and 4.6; W3C Fetch Metadata, section 2.4).

/** A host and, where it matters, a port; as URLs write them: lower case, IPv6 in brackets. */
export interface HostAndPort {
  hostname: string;
  port?: number;
}

/** Parses HOST or HOST:PORT; undefined when it is neither. A trailing dot means nothing. */
export function parseHost(text: string): HostAndPort | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^[\]:@/?#\\%\s]+)(?::(\d{1,5}))?$/i.exec(text);
  const [, name = "", port] = match ?? [];
  // The parser of URLs is what gives 127.1 and [0:0:0:0:0:0:0:1] the form that browsers send.
  if (match === null || !URL.canParse(`http://${name}`) || Number(port ?? 1) > 65_535)
    return undefined;
  const hostname = new URL(`http://${name}`).hostname.replace(/\.$/, "");
  if (hostname === "") return undefined;
  return port === undefined ? { hostname } : { hostname, port: Number(port) };
}

/** Under which names the service may be called. */
export interface HostRules {
  /** Whether callers prove who they are; then the service may be reached under any name. */
  guarded: boolean;
  /** Further names of this service, of any port where they have none. */
  allowed: readonly string[];
}

/** The status and the message of a refusal. */
export interface Misdirected {
  status: 400 | 403;
  message: string;
}

/** Checks a request's Host and origin; undefined means that nothing is wrong. */
export interface HostCheck {
  /** Whom it is for. */
  host(req: IncomingMessage): Misdirected | undefined;
  /** Which page of a browser sent it, if one did. */
  origin(req: IncomingMessage): Misdirected | undefined;
}

/**
 * Checks the Host and Origin headers that browsers write into requests.
 * @throws RangeError when an allowed host is not a host
 */
export function createHostCheck({ guarded, allowed }: HostRules): HostCheck {
  const names = allowed.map((text) => {
    const parsed = parseHost(text);
    if (parsed === undefined) throw new RangeError(`${text} is not HOST or HOST:PORT`);
    return parsed;
  });
  const isAllowed = (host: HostAndPort, port: number) =>
    names.some(
      (each) => each.hostname === host.hostname && (each.port === undefined || each.port === port),
    );

  return {
    host(req) {
      const given = authorityOf(req);
      const host = given === undefined ? undefined : parseHost(given);
      // Without a Host there is no name to compare with.
      if (host === undefined)
        return { status: 400, message: `Host ${quoted(given)} is not HOST or HOST:PORT` };
      if (guarded) return undefined;
      const port = host.port ?? (isEncrypted(req) ? 443 : 80);
      const isOwn = isLoopbackName(host.hostname) && port === req.socket.localPort;
      if (isOwn || isAllowed(host, port)) return undefined;
      return {
        status: 403,
        message: `Host ${quoted(given)} is not a name of this service: without authentication it answers only to localhost and loopback addresses with port ${req.socket.localPort}, and to the names in --allowed-host`,
      };
    },

    origin(req) {
      const site = req.headers["sec-fetch-site"];
      if (site !== undefined && site !== "same-origin" && site !== "none")
        return {
          status: 403,
          message: `Sec-Fetch-Site ${quoted(site)}: requests from pages of another origin are refused`,
        };
      const { origin } = req.headers;
      // Behind a proxy that writes a Host of its own the browser's word is what there is.
      if (origin === undefined || (guarded && site !== undefined)) return undefined;
      const [, scheme, authority = ""] = /^(https?):\/\/(.+)$/.exec(origin) ?? [];
      const from = scheme === undefined ? undefined : parseHost(authority);
      const here = parseHost(authorityOf(req) ?? "");
      const standard = scheme === "https" ? 443 : 80;
      const port = from?.port ?? standard;
      const isHere = from?.hostname === here?.hostname && port === (here?.port ?? standard);
      if (from && (isHere || isAllowed(from, port))) return undefined;
      return {
        status: 403,
        message: `Origin ${quoted(origin)} is not that of this service, ${quoted(authorityOf(req))}`,
      };
    },
  };
}

/** Of either version of HTTP; undefined where there is none, or two that differ. */
function authorityOf(req: IncomingMessage): string | undefined {
  const { host, ":authority": authority } = req.headers as Record<string, string | undefined>;
  if (authority !== undefined && host !== undefined && authority !== host) return undefined;
  return authority ?? host;
}

function isLoopbackName(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    (isIPv4(hostname) && hostname.startsWith("127."))
  );
}

const isEncrypted = ({ socket }: IncomingMessage) => socket instanceof TLSSocket;
const quoted = (text: unknown) => JSON.stringify(String(text ?? "").slice(0, 255));
