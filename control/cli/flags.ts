import { Option } from "commander";

/** Flags that several commands have; spread into commander's option calls. */

const collect = (value: string, before: string[] | undefined) => [...(before ?? []), value];

export const files = [
  "-f, --file <file>",
  'route document; "-" is standard input; may be repeated',
  collect,
] as [string, string, (value: string, before: string[] | undefined) => string[]];
export const formats = ["-o, --output <format>", "json or yaml, for programs"] as const;
/** The same where only these two may be given. */
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
/** PEM files for a server that speaks TLS. */
export const tlsFiles: [string, string][] = [
  ["--ca <file>", "authority of the server's certificate (default: WEIR_CA, else the system's)"],
  ["--cert <file>", "certificate that says who you are (default: WEIR_CERT)"],
  ["--key <file>", "its key (default: WEIR_KEY)"],
];
