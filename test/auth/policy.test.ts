import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createAuthenticate } from "../../control/auth/authenticate.ts";
import {
  createGate,
  createReportTokens,
  may,
  type Principal,
  parsePolicy,
  scopeOf,
  sha256Hex,
} from "../../control/auth/index.ts";

const digest = sha256Hex("s3cret");
const reports = createReportTokens(Buffer.from("secret"));

describe("an access file", () => {
  it.each<[string, string, RegExp]>([
    [
      "an unknown list",
      "users: []",
      /unknown field "users": known fields are tokens, certificates, issuers/,
    ],
    [
      "a token in clear",
      "tokens: [{name: a, sha256: s3cret, role: admin}]",
      /64 hexadecimal digits/,
    ],
    [
      "an unknown role",
      `tokens: [{name: a, sha256: ${digest}, role: root}]`,
      /role "root" must be one of viewer, operator, admin, proxy, pod/,
    ],
    ["no role", `tokens: [{name: a, sha256: ${digest}}]`, /role "undefined" must be one of/],
    [
      "a misspelt field",
      `tokens: [{name: a, sha256: ${digest}, role: admin, namespace: x}]`,
      /unknown field "namespace"/,
    ],
    [
      "no namespace at all",
      `tokens: [{name: a, sha256: ${digest}, role: admin, namespaces: []}]`,
      /namespaces must not be empty/,
    ],
    [
      "nodes of a person",
      `tokens: [{name: a, sha256: ${digest}, role: admin, nodes: [x]}]`,
      /nodes is only allowed with the role proxy/,
    ],
    [
      "routes of a person",
      `tokens: [{name: a, sha256: ${digest}, role: admin, routes: [x]}]`,
      /routes is only allowed with the role pod/,
    ],
    [
      "a pod of no route",
      `tokens: [{name: a, sha256: ${digest}, role: pod, routes: []}]`,
      /routes must not be empty/,
    ],
    [
      "the same token twice",
      `tokens: [{name: a, sha256: ${digest}, role: admin}, {name: b, sha256: ${digest}, role: viewer}]`,
      /tokens: "a" and "b" have the same sha256/,
    ],
    [
      "a time that is none",
      `tokens: [{name: a, sha256: ${digest}, role: admin, expires: soon}]`,
      /"soon" is not a time/,
    ],
    [
      "keys over http",
      "issuers: [{issuer: a, audience: b, keys: 'http://x', claim: c}]",
      /must be a file or an https URL/,
    ],
    ["a list as document", "[]", /the document must be a mapping/],
  ])("with %s is refused", (_name, text, why) => {
    expect(() => parsePolicy(text)).toThrow(why);
  });

  it("needs TLS with an authority for certificates", () => {
    const directory = mkdtempSync(join(tmpdir(), "weir-access-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const access = join(directory, "access.yaml");
    writeFileSync(access, "certificates: [{name: a, role: viewer}]");
    expect(() => createGate({ access })).toThrow(/need --tls-cert, --tls-key and --client-ca/);
    expect(() => createGate({ access: join(directory, "none") })).toThrow(
      /cannot read the access file/,
    );
  });
});

describe("a principal", () => {
  const operator: Principal = {
    name: "o",
    grants: [{ role: "operator", namespaces: ["a"] }],
  };
  it("may do what its role and those below it may, in its namespaces", () => {
    expect(may(operator, "viewer", "a")).toBe(true);
    expect(may(operator, "operator", "a")).toBe(true);
    expect(may(operator, "admin", "a")).toBe(false);
    expect(may(operator, "operator", "b")).toBe(false);
    expect(may(operator, "proxy", "a")).toBe(false);
  });
  it("speaks only for its nodes", () => {
    const proxy: Principal = {
      name: "p",
      grants: [{ role: "proxy", namespaces: ["b", "a"], nodes: ["edge-*", "one"] }],
    };
    expect(scopeOf(proxy, "edge-7")).toEqual(["a", "b"]);
    expect(scopeOf(proxy, "one")).toEqual(["a", "b"]);
    expect(scopeOf(proxy, "one-more")).toBeUndefined();
    expect(may(proxy, "viewer")).toBe(false);
    expect(scopeOf(operator, "edge-7")).toBeUndefined();
  });
});

describe("a report token", () => {
  it("says its namespaces, opens no stream, and cannot be made up", () => {
    const token = reports.tokenFor("edge-1", ["a", "b"]);
    const principal = reports.verify(token) as Principal;
    expect(principal.report).toEqual({ node: "edge-1", namespaces: ["a", "b"] });
    expect(may(principal, "proxy", "a")).toBe(true);
    expect(may(principal, "viewer")).toBe(false);
    expect(scopeOf(principal, "edge-1")).toBeUndefined();
    const [kind, , mac] = token.split(".");
    const claims = JSON.stringify({ e: 9e9, n: ["*"], s: "edge-1" });
    const widened = [kind, Buffer.from(claims).toString("base64url"), mac].join(".");
    expect(reports.verify(widened)).toBeUndefined();
    expect(createReportTokens(Buffer.from("other")).verify(token)).toBeUndefined();
  });

  it.each([
    ["a node's", 3_600_000, (each: typeof reports) => each.tokenFor("edge-1", ["a"])],
    ["a mesh's", 24 * 3_600_000, (each: typeof reports) => each.meshToken(["a"])],
  ])(
    "%s is followed by another, and ends after at least one and at most two such times",
    (_name, slotMs, make) => {
      let nowMs = 1_700_000_000_000;
      const startMs = nowMs;
      const each = createReportTokens(Buffer.from("secret"), () => nowMs);
      const first = make(each);
      const lives: number[] = [];
      const kinds = new Set<string>();
      for (; nowMs < startMs + 3 * slotMs; nowMs += slotMs / 64) {
        kinds.add(make(each));
        // Whatever is shown now is right now, and for a whole time more.
        expect(each.verify(make(each))).toBeDefined();
        if (each.verify(first)) lives.push(nowMs - startMs);
      }
      expect(Math.max(...lives)).toBeGreaterThanOrEqual(slotMs - slotMs / 64);
      expect(Math.max(...lives)).toBeLessThanOrEqual(2 * slotMs);
      expect(kinds.size).toBe(4);
    },
  );

  it("changes at another time on each node", () => {
    const ends = Array.from({ length: 200 }, (_, i) => {
      const [, claims = ""] = reports.tokenFor(`edge-${i}`, ["a"]).split(".");
      return JSON.parse(Buffer.from(claims, "base64url").toString()).e;
    });
    expect(new Set(ends).size).toBeGreaterThan(150);
  });
});

describe("a token of an issuer", () => {
  let keys: CryptoKeyPair;
  let strangers: CryptoKeyPair;
  let authenticate: ReturnType<typeof createAuthenticate>;
  beforeAll(async () => {
    keys = (await generateKeyPair("ES256", { extractable: true })) as CryptoKeyPair;
    strangers = (await generateKeyPair("ES256")) as CryptoKeyPair;
    const directory = mkdtempSync(join(tmpdir(), "weir-jwks-"));
    const jwks = join(directory, "jwks.json");
    writeFileSync(jwks, JSON.stringify({ keys: [await exportJWK(keys.publicKey)] }));
    const policy = parsePolicy(
      JSON.stringify({
        issuers: [
          {
            issuer: "https://id.example.com",
            audience: "weir",
            keys: jwks,
            claim: "groups",
            roles: [{ value: "ml", role: "operator", namespaces: ["inference"] }],
          },
        ],
      }),
    );
    authenticate = createAuthenticate(policy, reports);
    rmSync(directory, { recursive: true });
  });

  const claims = (change: object = {}) => ({
    iss: "https://id.example.com",
    aud: "weir",
    sub: "ada",
    exp: Math.floor(Date.now() / 1000) + 60,
    groups: ["ml", "other"],
    ...change,
  });
  const signed = (payload: object, key = keys.privateKey) =>
    new SignJWT(payload as never).setProtectedHeader({ alg: "ES256" }).sign(key);
  const ask = (token: string) => authenticate({ authorization: `Bearer ${token}` });

  it("lets in whom it names, with the roles of its groups", async () => {
    expect(await ask(await signed(claims()))).toEqual({
      principal: { name: "ada", grants: [{ role: "operator", namespaces: ["inference"] }] },
    });
  });
  it("gives nothing to whom no group is known of", async () => {
    expect(await ask(await signed(claims({ groups: "admins" })))).toEqual({
      principal: { name: "ada", grants: [] },
    });
  });
  it.each<[string, () => Promise<string> | string, RegExp]>([
    ["has expired", () => signed(claims({ exp: 1 })), /"exp" claim timestamp check failed/],
    ["never expires", () => signed(claims({ exp: undefined })), /missing required "exp" claim/],
    ["is for another audience", () => signed(claims({ aud: "other" })), /unexpected "aud" claim/],
    ["is of another issuer", () => signed(claims({ iss: "https://evil" })), /issuer is unknown/],
    ["is not valid yet", () => signed(claims({ nbf: 4e9 })), /"nbf" claim timestamp check failed/],
    [
      "is signed by a stranger",
      () => signed(claims(), strangers.privateKey),
      /signature verification failed/,
    ],
    ["is not signed", () => new UnsecuredJWT(claims() as never).encode(), /not valid/],
    [
      "is signed with a shared secret",
      () =>
        new SignJWT(claims() as never).setProtectedHeader({ alg: "HS256" }).sign(Buffer.alloc(32)),
      /not valid/,
    ],
    ["is garbage", () => "a.b.c", /not valid/],
    ["is endless", () => "x".repeat(10_000), /too long/],
  ])("that %s is refused", async (_name, make, why) => {
    const identity = await ask(await make());
    expect(identity).toHaveProperty("reason");
    expect("reason" in identity && identity.reason).toMatch(why);
  });
});
