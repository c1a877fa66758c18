import { ConnectError } from "@connectrpc/connect";
import type { ServerOptions } from "../../control/service/wiring/options.ts";
import { type ControlServer, startServer } from "../../control/service/wiring/server.ts";

/** An address of this machine alone; port 0 is any that is free. */
export const local = (port = 0) => ({ host: "127.0.0.1", port });

/** A control service on free ports that keeps nothing and says nothing, but for what is given. */
export function startQuietServer(options: Partial<ServerOptions> = {}): Promise<ControlServer> {
  return startServer({
    listen: local(),
    xds: local(),
    gateway: local(1),
    store: "memory",
    wasm: "build/weir.wasm",
    log: () => {},
    ...options,
  });
}

/** Where its API is called, in clear text. */
export const urlOf = ({ listen }: ControlServer) => `http://${listen.host}:${listen.port}`;

/** The error of a call. @throws when it was not refused */
export async function refusal(work: Promise<unknown>): Promise<ConnectError> {
  try {
    await work;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("it was not refused");
}
