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
  /** The messages that these bytes complete. @throws RangeError for one that is compressed or too large */
  push(chunk: Buffer): Buffer[];
}

export function createFrameReader(mostBytes: number): FrameReader {
  let rest: Buffer = Buffer.alloc(0);
  return {
    push(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const messages: Buffer[] = [];
      while (rest.length >= 5) {
        if (rest[0] !== 0) throw new RangeError("compressed messages are not accepted");
        const length = rest.readUInt32BE(1);
        if (length > mostBytes)
          throw new RangeError(`a message of ${length} bytes: at most ${mostBytes} are allowed`);
        if (rest.length < 5 + length) break;
        messages.push(rest.subarray(5, 5 + length));
        rest = rest.subarray(5 + length);
      }
      return messages;
    },
  };
}
