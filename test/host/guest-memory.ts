import { Buffer } from "node:buffer";
import type { Headers } from "./header-map.ts";

/** A filter's linear memory as its host reads and writes it; latin1 strings stand for bytes. */
export interface GuestMemory {
  /** A view of bytes, gone when memory grows; throws where the guest points outside of it. */
  bytes(ptr: number, size: number): Buffer;
  text(ptr: number, size: number): string;
  u32(ptr: number, value: number): void;
  u64(ptr: number, value: bigint): void;
  /** Writes a text where there is room for it. */
  write(ptr: number, text: string): void;
  /** Writes pairs as the ABI lays them out: u32 count, sizes, then key NUL value NUL. */
  writePairs(ptr: number, pairs: Readonly<Headers>): void;
}

/** Bytes that writePairs needs. */
export function pairsSize(pairs: Readonly<Headers>): number {
  let size = 4;
  for (const [key, value] of pairs) size += key.length + value.length + 10;
  return size;
}

export function createGuestMemory(memory: WebAssembly.Memory): GuestMemory {
  let all = Buffer.from(memory.buffer);
  /** The memory's bytes, of which growth makes a new array. */
  const whole = () => {
    if (all.buffer !== memory.buffer) all = Buffer.from(memory.buffer);
    return all;
  };
  // The host refuses what does not lie in memory; so does the emulator.
  const check = (ptr: number, size: number) => {
    const at = ptr >>> 0;
    if (at + (size >>> 0) > whole().length)
      throw new RangeError(`guest passed ${at}+${size >>> 0}`);
    return at;
  };
  const put = (at: number, text: string) => {
    // A loop is faster than Buffer.write for texts of a header's length.
    if (text.length > 64) all.write(text, at, "latin1");
    else for (let i = 0; i < text.length; i++) all[at + i] = text.charCodeAt(i);
    return at + text.length;
  };
  return {
    bytes(ptr, size) {
      const at = check(ptr, size);
      return all.subarray(at, at + (size >>> 0));
    },
    text(ptr, size) {
      const at = check(ptr, size);
      return all.toString("latin1", at, at + (size >>> 0));
    },
    u32(ptr, value) {
      all.writeUInt32LE(value >>> 0, check(ptr, 4));
    },
    u64(ptr, value) {
      all.writeBigUInt64LE(BigInt.asUintN(64, value), check(ptr, 8));
    },
    write(ptr, text) {
      put(check(ptr, text.length), text);
    },
    writePairs(ptr, pairs) {
      let size = check(ptr, pairsSize(pairs));
      let data = size + 4 + pairs.length * 8;
      all.writeUInt32LE(pairs.length, size);
      size += 4;
      for (const [key, value] of pairs) {
        all.writeUInt32LE(key.length, size);
        all.writeUInt32LE(value.length, size + 4);
        size += 8;
        data = put(data, key);
        all[data++] = 0;
        data = put(data, value);
        all[data++] = 0;
      }
    },
  };
}
