import { grpcCode, StatusError } from "./status.ts";

/** A message as gRPC carries it: a flag byte, the length, the bytes (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(message.length + 5);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/** Takes messages out of a byte stream that is cut anywhere. */
export interface FrameReader {
  /** The messages that these bytes complete. @throws StatusError for one that is compressed or too large */
  push(chunk: Buffer): Buffer[];
  /** Whether there is the beginning of a message. */
  partial(): boolean;
  /** When that began to come; 0 where there is none. */
  sinceMs(): number;
}

const headerBytes = 5;

export function createFrameReader(maxBytes: number): FrameReader {
  // Grows to twice its size: a message that comes in small pieces costs its length, not the square of it.
  let buffer = Buffer.alloc(0);
  let used = 0;
  let wanted = headerBytes;
  let sinceMs = 0;

  function keep(bytes: Buffer): void {
    if (used + bytes.length > buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * buffer.length, used + bytes.length));
      buffer.copy(larger, 0, 0, used);
      buffer = larger;
    }
    used += bytes.copy(buffer, used);
  }

  /** @returns bytes of the message that the header announces, itself included */
  function readHeader(bytes: Buffer): number {
    // "If the Compressed-Flag is set" without an encoding, the status is INTERNAL (gRPC, "Compression").
    if (bytes[0] !== 0)
      throw new StatusError(
        grpcCode.internal,
        "compressed messages are not accepted, and the request names no grpc-encoding",
      );
    const length = bytes.readUInt32BE(1);
    if (length > maxBytes)
      throw new StatusError(
        grpcCode.resourceExhausted,
        `a message of ${length} bytes: at most ${maxBytes} are allowed`,
      );
    return headerBytes + length;
  }

  return {
    push(chunk) {
      if (used > 0) keep(chunk);
      let rest = used > 0 ? buffer.subarray(0, used) : chunk;
      if (rest.length < wanted) {
        if (used === 0) keep(chunk);
        if (used > 0) sinceMs ||= performance.now();
        return [];
      }
      const messages: Buffer[] = [];
      wanted = headerBytes;
      while (rest.length >= headerBytes) {
        wanted = readHeader(rest);
        if (rest.length < wanted) break;
        messages.push(rest.subarray(headerBytes, wanted));
        rest = rest.subarray(wanted);
        wanted = headerBytes;
      }
      // The messages are views of what came: what follows them moves to memory of its own.
      buffer = Buffer.alloc(0);
      used = 0;
      if (rest.length > 0) keep(rest);
      sinceMs = used > 0 ? performance.now() : 0;
      return messages;
    },
    partial: () => used > 0,
    sinceMs: () => sinceMs,
  };
}
