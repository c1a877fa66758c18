import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { StoreUnavailableError } from "../store.ts";
import { DamageError } from "./damage.ts";
import { checkLeaf, type Pages, readTrees } from "./pages.ts";

// The layout of LMDB's file (mdb.c): two headers that are written in turn, each a
// struct MDB_meta behind a page header.
const magic = 0xbeefc0de;
const at = { magic: 24, pageSize: 48, freeTree: 48, mainTree: 96, lastPage: 144, change: 152 };
const headerBytes = 256;
const pageSizes = [4096, 8192, 16_384, 32_768, 65_536];
/** Read at once: a file of gigabytes takes no more memory than this. */
const chunkBytes = 8 << 20;

/**
 * Checks a whole store before anything is read from it or written to it: every
 * page that belongs to a tree, and the checksum of every record. Damage inside
 * LMDB's own pages would end the process on a later read, or lose a write.
 * Linear in the file's size: branches first, then all else in the order of the file.
 * @throws StoreUnavailableError with what is damaged
 */
export function verifyFile(file: string): void {
  const handle = openSync(file, "r");
  try {
    const size = fstatSync(handle).size;
    const header = newestHeader(handle, size);
    if (header === undefined)
      throw new StoreUnavailableError(
        `the store file ${file} is damaged or cut off (${size} bytes): restore it from a backup`,
      );
    const { pageSize } = header;
    const read = (page: number) => readAt(handle, page * pageSize, pageSize);
    scan(handle, pageSize, readTrees(header.pages, read, header));
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw new StoreUnavailableError(
      `the store file ${file} is damaged (${error.message}): restore it from a backup`,
    );
  } finally {
    closeSync(handle);
  }
}

/** The rest of the pages, those of records, in the order they lie in. */
function scan(handle: number, pageSize: number, pages: Pages): void {
  const perChunk = Math.floor(chunkBytes / pageSize);
  const buffer = Buffer.alloc(perChunk * pageSize);
  const large = (page: number, bytes: number) => readAt(handle, page * pageSize, bytes);
  let first = -1;
  for (const page of Float64Array.from(pages.leaves.keys()).sort()) {
    if (first < 0 || page >= first + perChunk) {
      first = page;
      readSync(handle, buffer, 0, buffer.length, page * pageSize);
    }
    const from = (page - first) * pageSize;
    checkLeaf(page, buffer.subarray(from, from + pageSize), pages, large);
  }
  for (const { name, found, entries } of pages.trees)
    if (found !== entries)
      throw new DamageError(`${name} has ${found} records and should have ${entries}`);
}

/** Of two headers that are both whole and one write apart, the newer; undefined otherwise. */
function newestHeader(handle: number, size: number): Header | undefined {
  const even = readHeader(handle, 0);
  const odd = even && readHeader(handle, even.pageSize);
  if (even === undefined || odd === undefined || even.pageSize !== odd.pageSize) return undefined;
  // Write N goes into header N modulo 2.
  if (even.change % 2n !== 0n || (odd.change > 0n && odd.change % 2n !== 1n)) return undefined;
  const [newer, older] = even.change > odd.change ? [even, odd] : [odd, even];
  const fits = ({ pages, pageSize }: Header) => pages * pageSize <= size;
  return newer.change - older.change <= 1n && fits(newer) && fits(older) ? newer : undefined;
}

interface Header {
  pageSize: number;
  /** One more than the last page that is in use. */
  pages: number;
  /** Number of the write that wrote it. */
  change: bigint;
  /** The records of both trees that every file has. */
  free: Buffer;
  main: Buffer;
}

function readHeader(handle: number, from: number): Header | undefined {
  const header = Buffer.alloc(headerBytes);
  if (readSync(handle, header, 0, headerBytes, from) !== headerBytes) return undefined;
  const pageSize = header.readUInt32LE(at.pageSize);
  if (header.readUInt32LE(at.magic) !== magic || !pageSizes.includes(pageSize)) return undefined;
  return {
    pageSize,
    pages: Number(header.readBigUInt64LE(at.lastPage)) + 1,
    change: header.readBigUInt64LE(at.change),
    free: header.subarray(at.freeTree),
    main: header.subarray(at.mainTree),
  };
}

function readAt(handle: number, from: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (readSync(handle, buffer, 0, bytes, from) !== bytes)
    throw new DamageError(`it ends before byte ${from + bytes}`);
  return buffer;
}
