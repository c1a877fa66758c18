import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Principal } from "./principal.ts";

/**
 * Tokens with which proxies' filters report. A proxy that Weir configures gets its own on
 * the stream on which it has proven who it is: the token speaks for that node alone. Proxies
 * that Istio configures are not known one by one: they share the token of their namespaces.
 * Each token ends, and there is a newer one well before: two are right at any time.
 */
export interface ReportTokens {
  /** What a node shows now; another one every hour, at a time of its own, right for two at most. */
  tokenFor(node: string, namespaces: readonly string[]): string;
  /** What Istio's proxies with routes of these namespaces show; another one every day, right for two at most. */
  meshToken(namespaces: readonly string[]): string;
  /** Undefined when it is not such a token, or has ended. */
  verify(token: string): Principal | undefined;
}

const prefix = "weir-report";
const nodeSlotMs = 3_600_000;
const meshSlotMs = 24 * 3_600_000;

/** Content of a token, as JSON: its end in seconds, the namespaces, and the node it is bound to. */
interface Claims {
  e: number;
  n: readonly string[];
  s?: string;
}

/**
 * Makes and verifies the tokens of reports.
 * @param secret the same on all replicas, and secret to them
 */
export function createReportTokens(secret: Buffer, nowMs: () => number = Date.now): ReportTokens {
  const key = createHash("sha256").update("weir report tokens\0").update(secret).digest();
  const sign = (claims: string) => createHmac("sha256", key).update(claims).digest();

  function make(claims: Claims): string {
    const text = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `${prefix}.${text}.${sign(text).toString("base64url")}`;
  }

  /** End of the slot after the one that is now, in seconds; the slots begin at a time that the name tells. */
  function endOf(name: string, slotMs: number): number {
    const offsetMs = createHash("sha256").update(name).digest().readUInt32BE() % slotMs;
    return Math.ceil((Math.floor((nowMs() + offsetMs) / slotMs + 2) * slotMs - offsetMs) / 1000);
  }

  return {
    tokenFor: (node, namespaces) => make({ e: endOf(node, nodeSlotMs), n: namespaces, s: node }),
    meshToken: (namespaces) => make({ e: endOf(namespaces.join(), meshSlotMs), n: namespaces }),
    verify(token) {
      const [kind, text = "", mac = ""] = token.split(".");
      if (kind !== prefix) return undefined;
      const given = Buffer.from(mac, "base64url");
      const right = sign(text);
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
      const { e, n, s }: Claims = JSON.parse(Buffer.from(text, "base64url").toString());
      if (e * 1000 <= nowMs()) return undefined;
      return {
        name: "report",
        // It speaks for no node: a token out of a configuration opens no stream of its own.
        grants: [{ role: "proxy", namespaces: n, nodes: [] }],
        report: { namespaces: n, ...(s === undefined ? {} : { node: s }) },
      };
    },
  };
}
