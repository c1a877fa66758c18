export { heartbeatMs } from "./follow.ts";
export { createPeers, type PeerAddress, type Peers } from "./peers.ts";
export { createRelay, type Relay } from "./relay.ts";
export type { Lag, Refused, Sight } from "./sight.ts";
export { peerTransport } from "./transport.ts";
