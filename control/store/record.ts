import { crc32 } from "node:zlib";
import { StoreUnavailableError } from "./store.ts";

/** A record as it lies in the file: CRC-32 of the content, then the content. */
export function sealRecord(content: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(content.length + 4);
  sealed.writeUInt32LE(crc32(content));
  sealed.set(content, 4);
  return sealed;
}

/** The content of a record. @throws StoreUnavailableError when its bytes changed since it was written */
export function openRecord(sealed: Buffer, what: string): Buffer {
  const content = sealed.subarray(4);
  if (sealed.length < 4 || sealed.readUInt32LE() !== crc32(content))
    throw new StoreUnavailableError(
      `${what} is damaged: its checksum does not match; restore the store from a backup`,
    );
  return content;
}
