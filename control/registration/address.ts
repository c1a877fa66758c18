import { BlockList, isIPv4, isIPv6 } from "node:net";
import { addressProblem } from "../route/index.ts";
import { shorten } from "../text/shorten.ts";

/** Whether pods may register at an address; undefined where they may, else why not. */
export type AddressCheck = (address: string) => { code: string; message: string } | undefined;

/** Characters of an address that a message shows. */
const maxShown = 64;

/** Ranges that no pod is in unless the operator names a range inside of them. */
const special: [name: string, net: string, bits: number][] = [
  ["an unspecified address", "0.0.0.0", 8],
  ["a loopback address", "127.0.0.0", 8],
  // Clouds answer there with the credentials of the machine.
  ["a link-local address", "169.254.0.0", 16],
  ["the metadata service of a cloud", "100.100.100.200", 32],
  ["a multicast or reserved address", "224.0.0.0", 3],
  ["an unspecified address", "::", 128],
  ["a loopback address", "::1", 128],
  ["a link-local address", "fe80::", 10],
  ["the metadata service of a cloud", "fd00:ec2::254", 128],
  ["a multicast address", "ff00::", 8],
];

/** A range of addresses, such as 10.0.0.0/8. */
export interface AddressRange {
  net: string;
  bits: number;
}

/** Reads a range or a single address. Undefined where it is neither, or not in its shortest form. */
export function parseRange(text: string): AddressRange | undefined {
  const [net = "", bits, ...more] = text.split("/");
  const isAddress = isIPv4(net) || isIPv6(net);
  if (!isAddress || more.length > 0 || addressProblem(text) !== undefined) return undefined;
  return { net, bits: bits === undefined ? (isIPv4(net) ? 32 : 128) : Number(bits) };
}

/**
 * Makes the check of addresses that pods register. Without ranges all are allowed that are not
 * special; with ranges those in one of them, and special ones only where the range is special.
 */
export function createAddressCheck(ranges: readonly AddressRange[]): AddressCheck {
  const allowed = ranges.map((range) => ({ ...range, holds: holder(range.net, range.bits) }));
  const refused = special.map(([name, net, bits]) => ({
    name,
    net,
    bits,
    holds: holder(net, bits),
  }));

  return (address) => {
    const problem = endpointProblem(address);
    if (problem)
      return {
        code: "bad-endpoint",
        message: `address "${shorten(address, maxShown)}" ${problem}`,
      };
    const ip = hostOf(address);
    const kind = refused.find(({ holds }) => holds(ip));
    const inside = allowed.filter(({ holds }) => holds(ip));
    const isNamed = inside.some(
      ({ net, bits }) => kind === undefined || (kind.holds(net) && bits >= kind.bits),
    );
    if (isNamed || (kind === undefined && ranges.length === 0)) return undefined;
    const why = kind
      ? `is ${kind.name}`
      : "is in none of the ranges of --endpoint-range of the control service";
    return { code: "address-refused", message: `address ${address} ${why}` };
  };
}

function endpointProblem(endpoint: string): string | undefined {
  const [, v4, v6, port = ""] =
    /^(?:([0-9.]{7,15})|\[([0-9a-f:.]{2,45})\]):(\d{1,5})$/.exec(endpoint) ?? [];
  const ip = v4 ?? v6 ?? "";
  if (!(v4 === undefined ? isIPv6(ip) : isIPv4(ip)))
    return 'must be "IP:port", or "[IP]:port" of IPv6';
  // An address has one form, or one pod could register under several.
  const problem = addressProblem(ip);
  if (problem) return `is not in its one form: the IP ${problem}`;
  if (port.startsWith("0") || Number(port) > 65535) return "has a port outside 1 to 65535";
  return undefined;
}

function hostOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

function holder(net: string, bits: number): (ip: string) => boolean {
  const list = new BlockList();
  list.addSubnet(net, bits, family(net));
  // A BlockList takes an IPv4 address for its mapped form in ranges of IPv6.
  return (ip) => family(ip) === family(net) && list.check(ip, family(ip));
}

const family = (ip: string) => (isIPv4(ip) ? "ipv4" : "ipv6");
