import { type PeerCertificate, checkServerIdentity as verifyName } from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { PeerAddress } from "./peers.ts";

/** How replicas prove to each other who they are. */
export interface PeerAccess {
  /** Bearer token of a replica; absent without authentication. */
  token?: string;
  /** Absent: clear text. */
  tls?: { cert: Buffer; ca?: Buffer; certificateSha256: string };
}

const pingMs = 2_000;

/** Calls a replica. Over TLS it has to show the certificate that this one shows too, or one of the clients' authority. */
export function peerTransport({ host, port }: PeerAddress, access: PeerAccess): Transport {
  const { token, tls } = access;
  const name = host.includes(":") ? `[${host}]` : host;
  return createConnectTransport({
    baseUrl: `${tls ? "https" : "http"}://${name}:${port}`,
    httpVersion: "2",
    pingIntervalMs: pingMs,
    pingTimeoutMs: pingMs,
    interceptors: token
      ? [
          (next) => (request) => {
            request.header.set("authorization", `Bearer ${token}`);
            return next(request);
          },
        ]
      : [],
    ...(tls ? { nodeOptions: tlsOptions(tls) } : {}),
  });
}

function tlsOptions({ cert, ca, certificateSha256 }: NonNullable<PeerAccess["tls"]>) {
  return {
    ca: ca ? [cert, ca] : [cert],
    // The certificate itself is trusted, regardless of its issuer.
    allowPartialTrustChain: true,
    checkServerIdentity(host: string, shown: PeerCertificate) {
      const sha256 = shown.fingerprint256.replaceAll(":", "").toLowerCase();
      return sha256 === certificateSha256 ? undefined : verifyName(host, shown);
    },
  };
}
