import { checkRecord } from "./check-record.ts";
import { DamageError } from "./damage.ts";

// A page (mdb.c, MDB_page): number, change, padding, flags, bounds of the free space, then
// where its nodes are. A node (MDB_node): size or child, flags, size of the key, key, data.
const header = 24;
const isBranch = 0x01;
const isLeaf = 0x02;
const isOverflow = 0x04;
const nodeHeader = 8;
/** The data is on pages of its own; it is a tree. */
const big = 0x01;
const tree = 0x02;
const deepest = 32;
const none = 0xffff_ffff_ffff_ffffn;

/** The tree that a leaf belongs to. */
export interface Tree {
  name: string;
  /** Records found so far, and how many the tree says it has. */
  found: number;
  entries: number;
}

/** Every page that is in use, once; what is free is used by no one. */
export interface Pages {
  leaves: Map<number, Tree>;
  trees: Tree[];
  /** Marks pages as in use. @throws DamageError when they are not there, or are already */
  use(first: number, count: number, what: string): void;
}

/** Follows all trees from their roots down to the leaves. @throws DamageError */
export function readTrees(
  count: number,
  read: (page: number) => Buffer,
  roots: { free: Buffer; main: Buffer },
): Pages {
  const used = new Uint8Array(count);
  const pages: Pages = {
    leaves: new Map(),
    trees: [],
    use(first, length, what) {
      if (first < 2 || first + length > count)
        throw new DamageError(`${what} is outside of the file, at page ${first}`);
      for (let page = first; page < first + length; page++)
        if (used[page] !== 0) throw new DamageError(`page ${page} is used twice`);
        else used[page] = 1;
    },
  };

  function readTree(name: string, record: Buffer): Tree {
    const depth = record.readUInt16LE(6);
    const found = { name, found: 0, entries: Number(record.readBigUInt64LE(32)) };
    pages.trees.push(found);
    const root = record.readBigUInt64LE(40);
    if (root === none) return found;
    if (depth < 1 || depth > deepest) throw new DamageError(`${name} is ${depth} pages deep`);
    readLevel(found, Number(root), depth);
    return found;
  }

  function readLevel(of: Tree, page: number, left: number): void {
    pages.use(page, 1, of.name);
    if (left === 1) {
      pages.leaves.set(page, of);
      return;
    }
    const bytes = read(page);
    for (const node of nodesOf(page, bytes, isBranch, of.name))
      readLevel(of, childOf(bytes, node), left - 1);
  }

  readTree("the list of free pages", roots.free);
  const main = readTree("the list of trees", roots.main);
  for (const [page, of] of [...pages.leaves]) {
    if (of !== main) continue;
    const bytes = read(page);
    for (const node of nodesOf(page, bytes, isLeaf, of.name)) {
      const { key, data, flags } = leafNode(page, bytes, node);
      if ((flags & tree) === 0) continue;
      if (data.length < 48) throw new DamageError(`page ${page} holds an incomplete tree`);
      readTree(key.toString("latin1").replace(/\0$/, ""), data);
    }
  }
  return pages;
}

/** Checks the records of one leaf. @param bytes of the page @throws DamageError */
export function checkLeaf(
  page: number,
  bytes: Buffer,
  { leaves, use }: Pages,
  large: (page: number, bytes: number) => Buffer,
): void {
  const of = leaves.get(page) as Tree;
  for (const node of nodesOf(page, bytes, isLeaf, of.name)) {
    const { key, data, flags, size } = leafNode(page, bytes, node);
    of.found++;
    if ((flags & tree) !== 0) continue;
    checkRecord(of.name, key, (flags & big) !== 0 ? overflow(data, size) : data, use);
  }

  function overflow(record: Buffer, size: number): Buffer {
    const first = Number(record.readBigUInt64LE(0));
    const count = Math.ceil((header + size) / bytes.length);
    use(first, count, `a record of ${of.name}`);
    const found = large(first, header + size);
    if (
      Number(found.readBigUInt64LE(0)) !== first ||
      (found.readUInt16LE(18) & isOverflow) === 0 ||
      found.readUInt32LE(20) !== count
    )
      throw new DamageError(`page ${first} is not the record of ${of.name} that it should be`);
    return found.subarray(header);
  }
}

/** Where the nodes of a page are. @throws DamageError when it is not the page that it should be */
function nodesOf(page: number, bytes: Buffer, kind: number, name: string): number[] {
  const lower = bytes.readUInt16LE(20);
  const upper = bytes.readUInt16LE(22);
  const isRight =
    Number(bytes.readBigUInt64LE(0)) === page &&
    bytes.readUInt16LE(18) === kind &&
    lower % 2 === 0 &&
    lower > 0 &&
    lower <= upper &&
    header + upper <= bytes.length;
  if (!isRight) throw new DamageError(`page ${page} is not the page of ${name} that it should be`);
  const nodes: number[] = [];
  for (let at = header; at < header + lower; at += 2) {
    const node = header + bytes.readUInt16LE(at);
    if (node < header + upper || node + nodeHeader + keySize(bytes, node) > bytes.length)
      throw new DamageError(`page ${page} of ${name} has a record outside of it`);
    nodes.push(node);
  }
  return nodes;
}

function keySize(bytes: Buffer, node: number): number {
  return node + nodeHeader > bytes.length ? bytes.length : bytes.readUInt16LE(node + 6);
}

function childOf(bytes: Buffer, node: number): number {
  return bytes.readUInt32LE(node) + bytes.readUInt16LE(node + 4) * 2 ** 32;
}

function leafNode(page: number, bytes: Buffer, node: number) {
  const flags = bytes.readUInt16LE(node + 4);
  const size = bytes.readUInt32LE(node);
  const from = node + nodeHeader + bytes.readUInt16LE(node + 6);
  const end = from + ((flags & big) === 0 ? size : 24);
  if (end > bytes.length || (flags & ~(big | tree)) !== 0)
    throw new DamageError(`page ${page} has a record that does not end in it`);
  return {
    flags,
    size,
    key: bytes.subarray(node + nodeHeader, from),
    data: bytes.subarray(from, end),
  };
}
