import { TLSSocket } from "node:tls";

/** What a request proves about its caller. A certificate counts only where TLS has verified it. */
export function credentialsOf(authorization: string | undefined, socket: unknown) {
  const verified = socket instanceof TLSSocket && socket.authorized;
  return {
    authorization,
    ...(verified ? { certificate: socket.getPeerCertificate() } : {}),
  };
}
