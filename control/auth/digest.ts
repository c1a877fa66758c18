import { createHash } from "node:crypto";

/** SHA-256 in lower-case hex. Tokens are compared by it and not kept. */
export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
