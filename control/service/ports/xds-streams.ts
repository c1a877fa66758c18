import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type createGate, credentialsOf, scopeOf } from "../../auth/index.ts";
import { sparse } from "../../telemetry/index.ts";
import type { XdsServer } from "../../xds/index.ts";
import { isDoomed } from "./limit-resets.ts";

/** Accepts streams of the xDS port that pass the gate and use gRPC. */
export function createXdsStreams(
  gate: Pick<ReturnType<typeof createGate>, "authenticate">,
  xds: Pick<XdsServer, "handle">,
  log: (line: string, code?: string) => void,
): (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void {
  const denied = sparse(log);
  const isGone = (stream: ServerHttp2Stream) =>
    stream.destroyed || stream.closed || isDoomed(stream.session);

  async function admit(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const socket = stream.session?.socket;
    const identity = await gate.authenticate(credentialsOf(headers.authorization, socket));
    if (isGone(stream)) return;
    const refuse = (status: number) => stream.respond({ ":status": status }, { endStream: true });
    if ("reason" in identity) {
      denied(`denied: xDS stream from ${socket?.remoteAddress}: ${identity.reason}`, "denied");
      return refuse(401);
    }
    // "PROTOCOL-HTTP2.md" of gRPC, section "Requests".
    if (!/^application\/grpc($|[+;])/.test(headers["content-type"] ?? "")) return refuse(415);
    if (!xds.handle(stream, headers, (node) => scopeOf(identity.principal, node))) refuse(404);
  }

  return (stream, headers) => {
    stream.on("error", () => {});
    if (isGone(stream)) return;
    admit(stream, headers).catch((error: unknown) => {
      log(`an xDS stream failed: ${error}`, "stream-failed");
      if (!stream.destroyed) stream.close();
    });
  };
}
