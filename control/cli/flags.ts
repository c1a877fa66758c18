import { InvalidArgumentError, Option } from "commander";
import { parseHost } from "../auth/hosts.ts";

/** Flags that several commands have; spread into commander's option calls. */

const collect = (value: string, before: string[] | undefined) => [...(before ?? []), value];

export const files = [
  "-f, --file <file>",
  'route document; "-" is standard input; may be repeated',
  collect,
] as [string, string, (value: string, before: string[] | undefined) => string[]];
/** The answer in a form for programs. */
export const output = () =>
  new Option("-o, --output <format>", "json or yaml, for programs").choices(["json", "yaml"]);
export const server = [
  "-s, --server <address>",
  "address of the control service (default: WEIR_SERVER, else 127.0.0.1:8080)",
] as const;
export const tokenFile = [
  "--token-file <file>",
  "file with the bearer token (default: WEIR_TOKEN)",
] as const;
export const reason = ["--reason <text>", "reason for the change; recorded in the audit", ""] as [
  string,
  string,
  string,
];
/**
 * Flags of a connection besides the server's address: credentials, and PEM files for TLS.
 * Every command that has --server gets them too.
 */
export const connection: [string, string][] = [
  [...tokenFile],
  ["--ca <file>", "certificate authority of the server (default: WEIR_CA, else the system's)"],
  ["--cert <file>", "client certificate to authenticate with (default: WEIR_CERT)"],
  ["--key <file>", "key of the client certificate (default: WEIR_KEY)"],
];

export const allowedHost = [
  "--allowed-host <host>",
  "HOST or HOST:PORT that API and page also answer to when no authentication is set up (default: loopback names only); may be repeated",
  (value, before) => {
    if (parseHost(value) === undefined) throw new InvalidArgumentError("give HOST or HOST:PORT.");
    return collect(value, before);
  },
] as [string, string, (value: string, before: string[] | undefined) => string[]];

/** Takes a text of 1 to `most` characters. @throws InvalidArgumentError that names the limit */
export function filled(text: string, max: number): string {
  if (text.trim() === "" || text.length > max)
    throw new InvalidArgumentError(`give 1 to ${max} characters.`);
  return text;
}
