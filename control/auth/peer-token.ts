import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Principal } from "./principal.ts";

/** The token that the replicas of one control service show each other. */
export interface PeerToken {
  token: string;
  /** Undefined when it is not that token. */
  verify(token: string): Principal | undefined;
}

/** @param secret shared by all replicas and by nobody else */
export function createPeerToken(secret: Buffer): PeerToken {
  const key = createHash("sha256").update("weir peer token\0").update(secret).digest();
  const token = `weir-peer.${createHmac("sha256", key).update("peer").digest("base64url")}`;
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return {
    token,
    verify: (given) =>
      timingSafeEqual(digest(given), digest(token))
        ? { name: "replica", grants: [{ role: "viewer", namespaces: ["*"] }] }
        : undefined,
  };
}
