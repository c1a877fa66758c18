import { readFileSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { errorText } from "../text/error-text.ts";
import { type IssuerRule, PolicyError } from "./policy.ts";
import type { Principal } from "./principal.ts";

// Only signatures that the issuer alone can make: with a shared secret, or none, anyone could.
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
];
const clockToleranceSeconds = 30;

/** Checks the tokens of one issuer. */
export interface Issuer {
  name: string;
  /** Who the token is for, or why it is not taken. @throws Error of jose */
  verify(token: string): Promise<Principal>;
}

/** @throws PolicyError when the keys cannot be read */
export function createIssuer(rule: IssuerRule): Issuer {
  const keys = keysOf(rule.keys);
  return {
    name: rule.issuer,
    async verify(token) {
      const { payload } = await jwtVerify(token, keys, {
        issuer: rule.issuer,
        audience: rule.audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ["exp", "sub"],
      });
      return { name: String(payload.sub), grants: grantsOf(rule, payload) };
    },
  };
}

function keysOf(source: string): JWTVerifyGetKey {
  if (source.startsWith("https://"))
    return createRemoteJWKSet(new URL(source), { timeoutDuration: 5_000 });
  try {
    return createLocalJWKSet(JSON.parse(readFileSync(source, "utf8")));
  } catch (error) {
    throw new PolicyError(`cannot read the JWK set ${source}: ${errorText(error)}`);
  }
}

function grantsOf(rule: IssuerRule, payload: JWTPayload) {
  const claim = payload[rule.claim];
  const values = Array.isArray(claim) ? claim : [claim];
  return rule.roles.filter(({ value }) => values.includes(value)).map(({ grant }) => grant);
}
