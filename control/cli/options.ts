import { Option } from "commander";
import { parseAddress, parseAddresses, showAddress } from "./address.ts";
import { packaged } from "./built.ts";

/** HOST:PORT, and what the help shows as its default. */
export function addressOption(flag: string, description: string, port: number): Option {
  const address = { host: "127.0.0.1", port };
  return new Option(`${flag} <host:port>`, description)
    .argParser(parseAddress)
    .default(address, showAddress(address));
}

/** HOST:PORT,...; without a port there is no default. */
export function addressesOption(flag: string, description: string, port?: number): Option {
  const option = new Option(`${flag} <host:port,...>`, description).argParser(parseAddresses);
  if (port === undefined) return option;
  const address = { host: "127.0.0.1", port };
  return option.default([address], showAddress(address));
}

/** A file that the package brings along; the help names it as the package does, wherever it lies. */
export function packagedFile(flag: string, description: string, path: string): Option {
  return new Option(`${flag} <file>`, description).default(packaged(path), `the package's ${path}`);
}
