import { allocate, release } from "./heap";
/**
 * A region is the memory of one configuration: blocks that are filled from the
 * front and freed together when the root context that owns them goes.
 */
@unmanaged
export class Region {
  head: usize;
  used: usize;
  capacity: usize;

  static create(): Region {
    const region = changetype<Region>(allocate(offsetof<Region>()));
    region.head = 0;
    region.used = 0;
    region.capacity = 0;
    return region;
  }

  /** Zeroed memory, 8-byte aligned, that lives as long as the region. */
  alloc(bytes: usize): usize {
    const size = (bytes + 7) & ~7;
    if (this.used + size > this.capacity) {
      const capacity: usize = max<usize>(2048, size + 8);
      const block = allocate(capacity);
      store<usize>(block, this.head);
      this.head = block;
      this.used = 8;
      this.capacity = capacity;
    }
    const ptr = this.head + this.used;
    this.used += size;
    memory.fill(ptr, 0, size);
    return ptr;
  }

  /** Gives everything back; the region must not be used afterwards. */
  free(): void {
    let block = this.head;
    while (block != 0) {
      const next = load<usize>(block);
      release(block);
      block = next;
    }
    release(changetype<usize>(this));
  }
}
