import { InvalidArgumentError, Option } from "commander";
import type { Address } from "../xds/index.ts";

/** Parses HOST:PORT; an IPv6 host is bracketed. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535)
    throw new InvalidArgumentError("give HOST:PORT with a port from 0 to 65535.");
  return { host, port };
}

export function showAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Parses a list of HOST:PORT, separated by commas. */
function parseAddresses(text: string): Address[] {
  return text.split(",").map(parseAddress);
}

/** For a flag that may be repeated. */
export function collectAddresses(text: string, before: Address[] = []): Address[] {
  return [...before, parseAddress(text)];
}

/** A flag that names an address; without it a port of this machine alone. */
export function addressOption(name: string, what: string, port: number): Option {
  const given = { host: "127.0.0.1", port };
  return new Option(`--${name} <host:port>`, what)
    .argParser(parseAddress)
    .default(given, showAddress(given));
}

/** The same for HOST:PORT,...; without a port there is none. */
export function addressesOption(name: string, what: string, port?: number): Option {
  const option = new Option(`--${name} <host:port,...>`, what).argParser(parseAddresses);
  if (port === undefined) return option;
  const given = { host: "127.0.0.1", port };
  return option.default([given], showAddress(given));
}
