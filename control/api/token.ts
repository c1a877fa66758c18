import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Whether an authorization header carries the token; always true when none is
 * asked for. Digests of equal length are compared, in constant time.
 */
export function checkBearer(header: string | undefined, token: string | undefined): boolean {
  if (token === undefined) return true;
  const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
