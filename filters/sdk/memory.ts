import { release, reserve, tryAllocate } from "./heap";

// Linear memory, by lifetime:
//
//   static        | literals, tables                      | the VM
//   arena 64 KiB  | buffers the host hands us             | one callback
//   spill blocks  | host buffers that do not fit          | one callback
//   regions       | a configuration, see ./region         | its root context
//
// Nothing is garbage collected and nothing on the request path allocates but
// the host, through proxy_on_memory_allocate. The arena is no static data: behind
// it every literal's address would take a byte more wherever code names it.

const ARENA_BYTES: usize = 65536;
const SPILL_BLOCKS: i32 = 8;
const LARGEST_BUFFER: usize = 8 << 20;

const arena: usize = reserve(ARENA_BYTES);
const spilled: usize = memory.data(SPILL_BLOCKS << 3, 8);
let arenaUsed: usize = 0;
let spilledCount: i32 = 0;

/** Two words the host writes its results to, e.g. a pointer and a size. */
export const outPtr: usize = memory.data(8, 8);
/** The second of them. */
export const outSize: usize = memory.data(8, 8);

/** Forgets every host buffer of the callback before; call it first in each callback. */
export function resetArena(): void {
  arenaUsed = 0;
  while (spilledCount > 0) {
    spilledCount--;
    release(load<usize>(spilled + ((<usize>spilledCount) << 3)));
  }
}

/** How much of the arena and how many spill blocks a callback has taken. */
@unmanaged
export class ArenaMark {
  used: usize;
  spills: i32;
}

/** Notes what is taken now: for a callback that keeps a buffer and reads many others. */
export function markArena(mark: ArenaMark): void {
  mark.used = arenaUsed;
  mark.spills = spilledCount;
}

/** Forgets what came into the arena since it was marked. */
export function rewindArena(mark: ArenaMark): void {
  arenaUsed = mark.used;
  while (spilledCount > mark.spills) release(load<usize>(spilled + ((<usize>--spilledCount) << 3)));
}

/** Memory for this callback; 0 when the request is beyond every bound. */
export function arenaAlloc(bytes: usize): usize {
  if (bytes > LARGEST_BUFFER) return 0;
  const size = (bytes + 15) & ~15;
  if (size <= ARENA_BYTES - arenaUsed) {
    const ptr = arena + arenaUsed;
    arenaUsed += size;
    return ptr;
  }
  const block = spilledCount < SPILL_BLOCKS ? tryAllocate(size) : 0;
  if (block == 0) return 0;
  store<usize>(spilled + ((<usize>spilledCount) << 3), block);
  spilledCount++;
  return block;
}

/** The host calls this, nested inside our own calls, for every buffer it returns. */
export function proxy_on_memory_allocate(bytes: i32): usize {
  return arenaAlloc(<usize>(<u32>bytes));
}

/** Marks the module as speaking ABI 0.2.1; the host only looks at the name. */
export function proxy_abi_version_0_2_1(): void {}

/** Whether two byte ranges of the same length are equal. */
export function sameBytes(a: usize, b: usize, bytes: usize): bool {
  if (bytes < 8) {
    if (bytes >= 4)
      return load<u32>(a) == load<u32>(b) && load<u32>(a + bytes - 4) == load<u32>(b + bytes - 4);
    for (let i: usize = 0; i < bytes; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
    return true;
  }
  // The last eight may overlap those before, as may the last four above.
  const last = bytes - 8;
  for (let i: usize = 0; i < last; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  return load<u64>(a + last) == load<u64>(b + last);
}
