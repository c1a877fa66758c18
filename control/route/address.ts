import { isIPv4, isIPv6 } from "node:net";

/** An address, or all those that begin with the same bits. */
export interface AddressRange {
  /** As it is written: "10.1.2.3", "10.0.0.0/8", "2001:db8::/32". */
  name: string;
  /** Bits that its addresses have in common, counted from the front of the 128 of IPv6. */
  bits: number;
}

/** A text that is an address or a range; undefined where it is neither or not in its one form. */
export function addressRange(text: string): AddressRange | undefined {
  const parts = partsOf(text);
  if (parts === undefined || addressProblem(text) !== undefined) return undefined;
  const { address, bits } = parts;
  const all = isIPv4(address) ? 32 : 128;
  return { name: text, bits: 128 - all + (bits ?? all) };
}

/** What is wrong with a text that stands for addresses; undefined where nothing is, or where it stands for none. */
export function addressProblem(text: string): string | undefined {
  const parts = partsOf(text);
  if (parts === undefined)
    return isLikeAddress(text) ? "is not an IP address or a range of addresses" : undefined;
  const max = isIPv4(parts.address) ? 32 : 128;
  if (parts.bits !== undefined && !(parts.bits <= max))
    return `is not a range: the prefix length after the slash must be from 0 to ${max}`;
  const written = writtenForm(parts);
  return text === written ? undefined : `never matches: write it as "${written}"`;
}

/** Whether a text is a range and not one address. */
export function isRange(text: string): boolean {
  return text.includes("/") && addressRange(text) !== undefined;
}

interface Parts {
  address: string;
  /** NaN: what stands behind the slash is no number. */
  bits: number | undefined;
}

function partsOf(text: string): Parts | undefined {
  const slash = text.indexOf("/");
  const before = (slash < 0 ? text : text.slice(0, slash)).replace(/^\[(.*)\]$/, "$1");
  // A zone ("%eth0") belongs to the machine, not to the caller.
  if (!isIPv4(before) && (!isIPv6(before) || before.includes("%"))) return undefined;
  const behind = text.slice(slash + 1);
  const bits = /^\d{1,3}$/.test(behind) ? Number(behind) : Number.NaN;
  return { address: before, bits: slash < 0 ? undefined : bits };
}

/** Four numbers, or hexadecimal digits with colons, are meant for an address. */
function isLikeAddress(text: string): boolean {
  return (
    /^\[?(\d+(\.\d+){3}|[\da-f.]*:[\da-f:.]*:[\da-f:.]*)(%\w+)?\]?(\/.*)?$/i.test(text) ||
    /^\d+(\.\d+)+\/\d+$/.test(text)
  );
}

/** The form in which the filters see it: RFC 5952, addresses of IPv4 as such, zeros behind the bits in common. */
function writtenForm({ address, bits }: Parts): string {
  const all = groupsOf(address);
  const mapped = all.slice(0, 6).join() === "0,0,0,0,0,65535";
  const isMapped = mapped && (bits === undefined || isIPv4(address) || bits >= 96);
  const count = bits === undefined ? 128 : isIPv4(address) ? bits + 96 : bits;
  const kept = all.map((group, i) => group & maskOf(count - 16 * i));
  const [high = 0, low = 0] = kept.slice(6);
  const text = isMapped
    ? [high >> 8, high & 255, low >> 8, low & 255].join(".")
    : new URL(`http://[${kept.map((group) => group.toString(16)).join(":")}]`).hostname.slice(
        1,
        -1,
      );
  return count === 128 ? text : `${text}/${isMapped ? count - 96 : count}`;
}

function maskOf(bits: number): number {
  return bits >= 16 ? 0xffff : bits <= 0 ? 0 : (0xffff << (16 - bits)) & 0xffff;
}

/** The eight groups of an address of IPv6, or of the one that stands for an address of IPv4. */
function groupsOf(address: string): number[] {
  const plain = new URL(`http://[${isIPv4(address) ? `::ffff:${address}` : address}]`).hostname;
  const [head = "", tail] = plain.slice(1, -1).split("::");
  const numbers = (text = "") =>
    text === "" ? [] : text.split(":").map((each) => Number.parseInt(each, 16));
  const before = numbers(head);
  const behind = numbers(tail);
  return [...before, ...Array<number>(8 - before.length - behind.length).fill(0), ...behind];
}
