import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { errorText } from "../text/error-text.ts";
import { nestingProblem } from "../text/nesting.ts";
import { type Grant, type Role, roles } from "./principal.ts";

/** A bearer token, known only by the SHA-256 of it. */
export interface TokenRule {
  name: string;
  /** Lower-case hex. */
  sha256: string;
  grant: Grant;
  expires?: Date;
}

/** A client certificate with this common name, or this DNS or URI name among its alternatives. */
export interface CertificateRule {
  name: string;
  grant: Grant;
}

/** Who signs tokens of its own (OpenID Connect), and what its claims mean. */
export interface IssuerRule {
  issuer: string;
  audience: string;
  /** JWK set: a file, or an https URL. */
  keys: string;
  /** Claim that names groups or roles: a string or a list of strings. */
  claim: string;
  roles: { value: string; grant: Grant }[];
}

/** Who may do what: the content of an access file. */
export interface Policy {
  tokens: TokenRule[];
  certificates: CertificateRule[];
  issuers: IssuerRule[];
}

/** What is wrong with an access file. */
export class PolicyError extends Error {
  override name = "PolicyError";
}

/** Reads an access file. @throws PolicyError naming the file, the field and what is wrong */
export function readPolicy(file: string): Policy {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new PolicyError(`cannot read the access file ${file}: ${errorText(error)}`);
  }
  try {
    return parsePolicy(text);
  } catch (error) {
    throw new PolicyError(`access file ${file}: ${errorText(error)}`);
  }
}

type Fields = Record<string, unknown>;

/** Parses the YAML or JSON of an access file. @throws PolicyError, Error when it is not YAML */
export function parsePolicy(text: string): Policy {
  const nesting = nestingProblem(text);
  if (nesting !== undefined) throw new PolicyError(`it ${nesting}`);
  const root = object(parse(text) ?? {}, "", ["tokens", "certificates", "issuers"]);
  const policy: Policy = {
    tokens: list(root.tokens, "tokens").map((item, i) => token(item, `tokens[${i}]`)),
    certificates: list(root.certificates, "certificates").map((item, i) => {
      const at = `certificates[${i}]`;
      const fields = object(item, at, ["name", ...grantFields]);
      return { name: textOf(fields.name, `${at}.name`), grant: grant(fields, at) };
    }),
    issuers: list(root.issuers, "issuers").map((item, i) => issuer(item, `issuers[${i}]`)),
  };
  const owners = new Map<string, string>();
  for (const { name, sha256 } of policy.tokens) {
    const owner = owners.get(sha256);
    if (owner !== undefined)
      throw new PolicyError(`tokens: "${owner}" and "${name}" have the same sha256`);
    owners.set(sha256, name);
  }
  return policy;
}

function token(item: unknown, at: string): TokenRule {
  const fields = object(item, at, ["name", "sha256", "expires", ...grantFields]);
  const sha256 = textOf(fields.sha256, `${at}.sha256`).toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(sha256))
    throw new PolicyError(`${at}.sha256 must be the SHA-256 of the token: 64 hexadecimal digits`);
  const expires = fields.expires === undefined ? undefined : new Date(String(fields.expires));
  if (expires && Number.isNaN(expires.getTime()))
    throw new PolicyError(`${at}.expires "${fields.expires}" is not a time`);
  return {
    name: textOf(fields.name, `${at}.name`),
    sha256,
    grant: grant(fields, at),
    ...(expires ? { expires } : {}),
  };
}

function issuer(item: unknown, at: string): IssuerRule {
  const fields = object(item, at, ["issuer", "audience", "keys", "claim", "roles"]);
  const keys = textOf(fields.keys, `${at}.keys`);
  if (keys.startsWith("http://"))
    throw new PolicyError(
      `${at}.keys must be a file or an https URL: with http an attacker on the network could replace the keys`,
    );
  return {
    issuer: textOf(fields.issuer, `${at}.issuer`),
    audience: textOf(fields.audience, `${at}.audience`),
    keys,
    claim: textOf(fields.claim, `${at}.claim`),
    roles: list(fields.roles, `${at}.roles`).map((each, i) => {
      const of = object(each, `${at}.roles[${i}]`, ["value", ...grantFields]);
      return {
        value: textOf(of.value, `${at}.roles[${i}].value`),
        grant: grant(of, `${at}.roles[${i}]`),
      };
    }),
  };
}

const grantFields = ["role", "namespaces", "nodes", "routes"];

function grant(fields: Fields, at: string): Grant {
  const role = roles.find((each) => each === fields.role);
  if (role === undefined)
    throw new PolicyError(`${at}.role "${fields.role}" must be one of ${roles.join(", ")}`);
  const namespaces =
    fields.namespaces === undefined ? ["*"] : texts(fields.namespaces, `${at}.namespaces`);
  return { role, namespaces, ...nodesOf(role, fields, at), ...routesOf(role, fields, at) };
}

function nodesOf(role: Role, fields: Fields, at: string): { nodes?: string[] } {
  if (role !== "proxy" && fields.nodes !== undefined)
    throw new PolicyError(`${at}.nodes is only allowed with the role proxy`);
  if (role !== "proxy") return {};
  return { nodes: fields.nodes === undefined ? ["*"] : texts(fields.nodes, `${at}.nodes`) };
}

function routesOf(role: Role, { routes }: Fields, at: string): { routes?: string[] } {
  if (routes === undefined) return {};
  if (role !== "pod") throw new PolicyError(`${at}.routes is only allowed with the role pod`);
  return { routes: texts(routes, `${at}.routes`) };
}

function object(value: unknown, at: string, known: readonly string[]): Fields {
  const where = at === "" ? "the document" : at;
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PolicyError(`${where} must be a mapping`);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new PolicyError(
      `${where} has an unknown field "${unknown}": known fields are ${known.join(", ")}`,
    );
  return value as Fields;
}

function list(value: unknown, at: string): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new PolicyError(`${at} must be a list`);
  return value;
}

function texts(value: unknown, at: string): string[] {
  const items = list(value, at);
  if (items.length === 0) throw new PolicyError(`${at} must not be empty`);
  return items.map((item, i) => textOf(item, `${at}[${i}]`));
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== "string" || value === "" || value.length > 1024)
    throw new PolicyError(`${at} must be a string of 1 to 1024 characters`);
  return value;
}
