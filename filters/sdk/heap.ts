// A small allocator for what lives longer than a callback. Blocks are powers of
// two; a freed block waits in the list of its size, so a configuration that
// replaces one of the same size needs no new memory. The request path does not
// come here.
//
//   block: u32 size class | u32 unused | bytes ...
//   free:  u32 size class | u32 unused | next free block ...

const HEADER: usize = 8;
const SMALLEST_SHIFT: u32 = 5;
const CLASSES: u32 = 24;

const free: usize = memory.data((<i32>CLASSES) << 2, 8);
let top: usize = __heap_base;

/** Memory for at least that many bytes, 8-byte aligned and not zeroed. Ends the VM when the host has none left. */
export function allocate(bytes: usize): usize {
  const ptr = tryAllocate(bytes);
  if (ptr == 0) unreachable();
  return ptr;
}

/** The same, zeroed. */
export function allocateZeroed(bytes: usize): usize {
  const ptr = allocate(bytes);
  memory.fill(ptr, 0, bytes);
  return ptr;
}

/** The same, not zeroed, but 0 when the host has none left. */
export function tryAllocate(bytes: usize): usize {
  const need = <u32>(bytes + HEADER);
  const shift = max<u32>(SMALLEST_SHIFT, 32 - clz<u32>(need - 1));
  const sizeClass = min<u32>(shift - SMALLEST_SHIFT, CLASSES - 1);
  const list = free + ((<usize>sizeClass) << 2);
  let block = load<usize>(list);
  if (block != 0) store<usize>(list, load<usize>(block, HEADER));
  else {
    if (!canReserve((<usize>1) << shift)) return 0;
    block = reserve((<usize>1) << shift);
    store<u32>(block, sizeClass);
  }
  return block + HEADER;
}

/** Gives back what allocate gave. */
export function release(ptr: usize): void {
  const block = ptr - HEADER;
  const list = free + ((<usize>load<u32>(block)) << 2);
  store<usize>(block, load<usize>(list), HEADER);
  store<usize>(list, block);
}

/** Makes sure that so many bytes more can be had; false when the host has no more. */
export function canReserve(bytes: usize): bool {
  const end = top + 7 + bytes;
  const have = (<usize>memory.size()) << 16;
  return end <= have || memory.grow(<i32>((end - have + 0xffff) >> 16)) >= 0;
}

/** Zeroed memory for the life of the VM, 8-byte aligned. */
export function reserve(bytes: usize): usize {
  if (!canReserve(bytes)) unreachable();
  const block = (top + 7) & ~7;
  top = block + bytes;
  return block;
}
