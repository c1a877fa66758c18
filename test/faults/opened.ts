import { type RawClient, request } from "./raw-http2.ts";

/** A call that a client may hold open for ever, on one of the two ports. */
export interface Held {
  port: number;
  path: string;
  contentType: string;
  /** Where the call is answered only once it is whole. */
  body?: Buffer;
}

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

/** By the port, as a test's title names it. */
export function held(name: string, { api, xds }: { api: number; xds: number }): Held {
  return name === "the API"
    ? {
        port: api,
        path: "/weir.v1.FleetService/WatchProxies",
        contentType: "application/connect+json",
        body: Buffer.from("\0\0\0\0\u0002{}"),
      }
    : { port: xds, path: `${ads}/StreamAggregatedResources`, contentType: "application/grpc" };
}

/** Ids of the first so many streams of a client. */
export const ids = (streams: number) => Array.from({ length: streams }, (_, i) => 2 * i + 1);

/** Opens so many streams at once. */
export function open(client: RawClient, streams: number, call: Held, scheme = "http"): void {
  const fields = {
    ":method": "POST",
    ":scheme": scheme,
    ":path": call.path,
    ":authority": `127.0.0.1:${call.port}`,
    "content-type": call.contentType,
  };
  client.socket.write(Buffer.concat(ids(streams).map((id) => request(id, fields, call.body))));
}
