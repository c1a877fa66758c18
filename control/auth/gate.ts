import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { errorText } from "../text/error-text.ts";
import { type Authenticate, createAuthenticate, trustEveryone } from "./authenticate.ts";
import { sha256Hex } from "./digest.ts";
import { createPeerToken } from "./peer-token.ts";
import { type Policy, PolicyError, readPolicy } from "./policy.ts";
import type { Grant } from "./principal.ts";
import { createReportTokens, type ReportTokens } from "./report-token.ts";

/** Files of a server's certificate and key, and of the authority of its clients. */
export interface TlsFiles {
  cert: string;
  key: string;
  /** Clients may then show certificates of this authority. */
  clientCa?: string;
}

/** What callers have to show. With neither access nor token everyone may call. */
export interface GateOptions {
  /** Path of the access file, which grants roles; absent without one. */
  access?: string;
  /** One bearer token that may do everything. Absent: there is none. */
  token?: string;
  /** Files of the certificate that the service shows. Absent: it speaks clear text. */
  tls?: TlsFiles;
}

/** How callers are authenticated. */
export interface Gate {
  authenticate: Authenticate;
  /** Whether anyone is asked who they are. */
  guarded: boolean;
  /** What TLS servers are made with; absent: clear text. */
  tls?: { cert: Buffer; key: Buffer; ca?: Buffer; certificateSha256: string };
  /** Whether any principal may see only some namespaces. */
  partial: boolean;
  /** Absent without authentication. */
  reports?: ReportTokens;
  /** The token that this replica shows to the others; absent without authentication. */
  peerToken?: string;
}

/**
 * Reads the files that decide who may call.
 * @throws PolicyError when a file is missing or wrong, or the options contradict each other
 */
export function createGate({ access, token, tls: files }: GateOptions): Gate {
  const tls = files && readTls(files);
  if (access === undefined && token === undefined) {
    if (files?.clientCa !== undefined)
      throw new PolicyError(
        "--client-ca needs --access: the access file gives the certificates their roles",
      );
    return { authenticate: trustEveryone, guarded: false, partial: false, ...(tls ? { tls } : {}) };
  }
  const policy: Policy = access
    ? readPolicy(access)
    : { tokens: [], certificates: [], issuers: [] };
  // An empty file grants nothing, and anyone could compute tokens derived from an empty secret.
  if (access !== undefined && grantsOf(policy).length === 0)
    throw new PolicyError(
      `access file ${access} is empty: it needs at least one of tokens, certificates and issuers`,
    );
  if (token !== undefined)
    for (const role of ["admin", "proxy"] as const)
      policy.tokens.push({
        name: "token",
        sha256: sha256Hex(token),
        grant: { role, namespaces: ["*"], ...(role === "proxy" ? { nodes: ["*"] } : {}) },
      });
  if (policy.certificates.length > 0 && tls?.ca === undefined)
    throw new PolicyError(
      "certificates in the access file need --tls-cert, --tls-key and --client-ca",
    );
  const secret = [access ? readFileSync(access) : "", token ?? "", tls?.key ?? ""];
  const shared = Buffer.concat(secret.map((part) => Buffer.from(part)));
  const reports = createReportTokens(shared);
  const peer = createPeerToken(shared);
  return {
    authenticate: createAuthenticate(policy, {
      verify: (given) => reports.verify(given) ?? peer.verify(given),
    }),
    guarded: true,
    partial: grantsOf(policy).some(
      ({ role, namespaces }) => role !== "proxy" && role !== "pod" && !namespaces.includes("*"),
    ),
    reports,
    peerToken: peer.token,
    ...(tls ? { tls } : {}),
  };
}

function grantsOf({ tokens, certificates, issuers }: Policy): Grant[] {
  return [...tokens, ...certificates, ...issuers.flatMap(({ roles }) => roles)].map(
    ({ grant }) => grant,
  );
}

/** Whether only this machine reaches an address; false for all names but localhost, whatever they begin with. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  return host === "localhost" || (isIPv6(host) && loopback6.check(host, "ipv6"));
}

const loopback6 = new BlockList();
loopback6.addAddress("::1", "ipv6");

function readTls({ cert, key, clientCa }: TlsFiles): NonNullable<Gate["tls"]> {
  const read = (file: string, what: string) => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new PolicyError(`cannot read the ${what} ${file}: ${errorText(error)}`);
    }
  };
  const pem = read(cert, "certificate");
  let fingerprint: string;
  try {
    fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();
  } catch {
    throw new PolicyError(`${cert} holds no certificate in PEM form`);
  }
  return {
    cert: pem,
    key: read(key, "key"),
    certificateSha256: fingerprint,
    ...(clientCa ? { ca: read(clientCa, "authority of the clients") } : {}),
  };
}
