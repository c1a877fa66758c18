import { createSocket } from "node:dgram";
import type { AddressInfo } from "node:net";

/** A DNS server that knows the addresses of a few names. */
export interface NameServer {
  port: number;
  /** Addresses of IPv4 by name; a name that is not in it does not exist. */
  addresses: Map<string, string[]>;
  /** Answers that it cannot tell (SERVFAIL). */
  fails: boolean;
  /** Questions so far. */
  asked: number;
  close(): Promise<void>;
}

const headerBytes = 12;
const typeA = 1;
const serverFailure = 2;
const noSuchName = 3;

export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const server: NameServer = {
    port: (socket.address() as AddressInfo).port,
    addresses: new Map(),
    fails: false,
    asked: 0,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
  socket.on("message", (query, { address, port }) => {
    server.asked++;
    socket.send(answer(query, server), port, address);
  });
  return server;
}

/** The answer to a query of one question (RFC 1035, section 4). */
function answer(query: Buffer, { addresses, fails }: NameServer): Buffer {
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(headerBytes, at + 5);
  const known = addresses.get(labels.join(".").toLowerCase());
  const found = type === typeA && !fails ? (known ?? []) : [];
  const code = fails ? serverFailure : known === undefined ? noSuchName : 0;
  const header = Buffer.alloc(headerBytes);
  query.copy(header, 0, 0, 2);
  // A response, authoritative, with recursion where it was asked for.
  header.writeUInt16BE(0x8580 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(found.length, 6);
  return Buffer.concat([header, question, ...found.map(record)]);
}

/** An address of the name in the question, for a second. */
function record(address: string): Buffer {
  const fixed = Buffer.from("c00c00010001000000010004", "hex");
  return Buffer.concat([fixed, Buffer.from(address.split(".").map(Number))]);
}
