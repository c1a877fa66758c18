import type { PeerCertificate } from "node:tls";
import { decodeJwt } from "jose";
import { errorText } from "../text/error-text.ts";
import { sha256Hex } from "./digest.ts";
import { createIssuer } from "./issuer.ts";
import type { Policy, TokenRule } from "./policy.ts";
import { anonymous, type Principal } from "./principal.ts";

/** What a request brings to prove who makes it. */
export interface Credentials {
  /** The authorization header. */
  authorization: string | undefined;
  /** The client's certificate, where TLS has verified it. */
  certificate?: PeerCertificate | undefined;
}

/** Who makes a request, or why that is not known; the reason is safe to show and to log. */
export type Identity = { principal: Principal } | { reason: string };

/** Finds out who makes a request. It does not throw: a refusal is an identity with a reason. */
export type Authenticate = (credentials: Credentials) => Promise<Identity>;

const maxTokenLength = 8_192;

/** Accepts everyone as anonymous. It is for addresses that only this machine reaches. */
export const trustEveryone: Authenticate = async () => ({ principal: anonymous });

/**
 * Accepts a certificate or a bearer token of a policy. A token that is sent must be right even
 * beside a certificate, so that no caller falls back to the certificate unnoticed.
 * @param issued finds the principal of tokens that the service itself has issued
 */
export function createAuthenticate(
  policy: Policy,
  issued: { verify(token: string): Principal | undefined },
  now: () => Date = () => new Date(),
): Authenticate {
  // Looked up by digest, so that the duration of the search reveals nothing about the token.
  const tokens = new Map<string, TokenRule[]>();
  for (const rule of policy.tokens)
    tokens.set(rule.sha256, [...(tokens.get(rule.sha256) ?? []), rule]);
  const issuers = new Map(policy.issuers.map((rule) => [rule.issuer, createIssuer(rule)]));

  async function byToken(token: string): Promise<Identity> {
    const known = tokens.get(sha256Hex(token)) ?? [];
    const [first] = known;
    if (first?.expires && first.expires <= now())
      return { reason: `the token of ${first.name} has expired` };
    if (first) return { principal: { name: first.name, grants: known.map(({ grant }) => grant) } };
    const own = issued.verify(token);
    if (own) return { principal: own };
    return token.split(".").length === 3 ? byIssuer(token) : { reason: "the token is not known" };
  }

  async function byIssuer(token: string): Promise<Identity> {
    try {
      const issuer = issuers.get(decodeJwt(token).iss ?? "");
      if (issuer === undefined) return { reason: "the token's issuer is unknown" };
      return { principal: await issuer.verify(token) };
    } catch (error) {
      return {
        reason: `the token is not valid: ${errorText(error)}`,
      };
    }
  }

  function byCertificate(certificate: PeerCertificate): Identity {
    const names = namesOf(certificate);
    const rules = policy.certificates.filter(({ name }) => names.includes(name));
    const [first] = rules;
    if (first === undefined)
      return {
        reason: `no rule of the access file names the certificate of ${names[0] ?? "this client, which has no name"}`,
      };
    return { principal: { name: first.name, grants: rules.map(({ grant }) => grant) } };
  }

  return async ({ authorization, certificate }) => {
    if (authorization !== undefined) {
      const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
      if (token === undefined) return { reason: "the authorization header is not a bearer token" };
      return token.length > maxTokenLength ? { reason: "the token is too long" } : byToken(token);
    }
    return certificate
      ? byCertificate(certificate)
      : { reason: "a bearer token or a client certificate is required" };
  };
}

/** The common name and the DNS and URI names of a certificate. */
function namesOf({ subject, subjectaltname }: PeerCertificate): string[] {
  const common = subject?.CN;
  const others = (subjectaltname ?? "")
    .split(", ")
    .flatMap((name) => /^(?:DNS|URI):([^"]+)$/.exec(name)?.[1] ?? []);
  return [...(typeof common === "string" ? [common] : []), ...others];
}
