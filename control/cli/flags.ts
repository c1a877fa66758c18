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
  "control service (default: WEIR_SERVER, else 127.0.0.1:8080)",
] as const;
export const tokenFile = [
  "--token-file <file>",
  "file with the bearer token (default: WEIR_TOKEN)",
] as const;
export const reason = ["--reason <text>", "why; kept in the audit", ""] as [string, string, string];
/**
 * What whoever asks a server may have to say besides its address: who they are, and the PEM
 * files for one that speaks TLS. Every command that has --server gets these with it.
 */
export const connection: [string, string][] = [
  [...tokenFile],
  ["--ca <file>", "authority of the server's certificate (default: WEIR_CA, else the system's)"],
  ["--cert <file>", "certificate that says who you are (default: WEIR_CERT)"],
  ["--key <file>", "its key (default: WEIR_KEY)"],
];

export const allowedHost = [
  "--allowed-host <host>",
  "HOST or HOST:PORT under which API and page are reached besides loopback's names, where no one is asked who they are; may be repeated",
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
