export { heartbeatMs } from "./follow.ts";
export { createPeers, type PeerAddress, type Peers } from "./peers.ts";
export type { Lag, ProxyView, Refused } from "./proxy-view.ts";
export { createRelay, type Relay } from "./relay.ts";
export { peerTransport } from "./transport.ts";
