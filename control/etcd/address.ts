import { readFileSync } from "node:fs";
import { errorText } from "../text/error-text.ts";

/** Where an etcd cluster is and how to be let in. */
export interface EtcdAddress {
  /** "http://host:port" or "https://host:port" of each member. */
  endpoints: string[];
  /** All keys start with it; ends in "/". */
  prefix: string;
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer };
  user?: { name: string; password: string };
}

/** What is wrong with an etcd address or the files it names. */
export class EtcdAddressError extends Error {
  override name = "EtcdAddressError";
}

const options = ["ca", "cert", "key", "tls", "user", "password-file"];

/**
 * Parses etcd://HOST:PORT[,HOST:PORT...][/PREFIX][?ca=FILE&cert=FILE&key=FILE&user=NAME&password-file=FILE].
 * TLS is used when any of its files is named, or with tls=true and the
 * system's authorities. Without a password file the password is WEIR_ETCD_PASSWORD:
 * addresses are seen in process lists and logs, so no password stands in them.
 * @throws EtcdAddressError
 */
export function parseEtcdAddress(
  text: string,
  env: Record<string, string | undefined> = process.env,
): EtcdAddress {
  const match = /^etcd:\/\/([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text);
  if (!match)
    throw new EtcdAddressError(
      "the etcd address must be etcd://HOST:PORT[,HOST:PORT][/PREFIX][?ca=FILE&cert=FILE&key=FILE&user=NAME&password-file=FILE]",
    );
  const [, hosts = "", path = "", query = ""] = match;
  const given = new URLSearchParams(query);
  const unknown = [...given.keys()].find((key) => !options.includes(key));
  if (unknown !== undefined)
    throw new EtcdAddressError(
      `unknown option "${unknown}" in the etcd address: known options are ${options.join(", ")}`,
    );
  const tls = readTls(given);
  const user = readUser(given, env);
  return {
    endpoints: hosts.split(",").map((host) => `${tls ? "https" : "http"}://${checkHost(host)}`),
    prefix: `${path.replace(/\/+$/, "") || "weir"}/`,
    ...(tls ? { tls } : {}),
    ...(user ? { user } : {}),
  };
}

function checkHost(host: string): string {
  const port = Number(/^(?:\[[0-9a-fA-F:]+\]|[^:[\]@]+):(\d{1,5})$/.exec(host)?.[1]);
  if (!(port >= 1 && port <= 65_535))
    throw new EtcdAddressError(
      `"${host}" in the etcd address is not HOST:PORT with a port from 1 to 65535`,
    );
  return host;
}

function readTls(given: URLSearchParams): EtcdAddress["tls"] {
  const tls: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const file = given.get(name);
    if (file !== null) tls[name] = read(file, name);
  }
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new EtcdAddressError("the etcd address needs both cert and key, or neither");
  return Object.keys(tls).length > 0 || given.get("tls") === "true" ? tls : undefined;
}

function readUser(
  given: URLSearchParams,
  env: Record<string, string | undefined>,
): EtcdAddress["user"] {
  const name = given.get("user");
  if (name === null) return undefined;
  const file = given.get("password-file");
  const password = file !== null ? read(file, "password-file").toString("utf8").trim() : undefined;
  const found = password ?? env.WEIR_ETCD_PASSWORD;
  if (!found)
    throw new EtcdAddressError(
      `the etcd user ${name} needs a password: add password-file to the address or set WEIR_ETCD_PASSWORD`,
    );
  return { name, password: found };
}

function read(file: string, option: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new EtcdAddressError(
      `cannot read the etcd address's ${option} file ${file}: ${errorText(error)}`,
    );
  }
}
