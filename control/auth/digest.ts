import { createHash } from "node:crypto";

/** SHA-256 in lower-case hex: how a token is known without being kept. */
export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
