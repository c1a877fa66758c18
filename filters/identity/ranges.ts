import { failJson, nextElement, openArray } from "../format/json";
import { readText } from "../format/values";
import { isText, Region, Text, textBytes, textPtr } from "../sdk";
import { Address, readAddress } from "./address";

const MAX_RANGES: i32 = 256;

const address = changetype<Address>(memory.data(<i32>offsetof<Address>(), 8));

/** Addresses that begin with the same bits: "10.0.0.0/8"; without a number it is one address. */
@unmanaged
class Range {
  next: usize;
  name: Text;
  high: u64;
  low: u64;
  bits: u32;
}

/** Reads a list of ranges, the last first; 0 when it is empty or wrong. */
export function readRanges(region: Region): usize {
  let list: usize = 0;
  let count = 0;
  openArray();
  while (nextElement()) {
    const name = readText(region, 64);
    if (name == 0) return 0;
    const range = changetype<Range>(region.alloc(offsetof<Range>()));
    range.next = list;
    range.name = name;
    list = changetype<usize>(range);
    if (++count > MAX_RANGES || !readRange(range)) {
      failJson("must be up to 256 ranges");
      return 0;
    }
  }
  return list;
}

/** Reads the name of a range; false when it is none. */
function readRange(range: Range): bool {
  const end = textPtr(range.name) + textBytes(range.name);
  if (!readAddress(textPtr(range.name), end, address)) return false;
  let at = address.end;
  let bits: u32 = 128;
  if (at < end) {
    bits = address.mappedBits;
    let number: u32 = 0;
    while (++at < end) number = number * 10 + (load<u8>(at) - 0x30);
    bits += number;
  }
  range.bits = bits;
  range.high = address.high;
  range.low = address.low;
  return bits <= 128;
}

/** The first range of a list that an address is in, which is the narrowest. */
export function rangeOf(list: usize, ptr: usize, bytes: usize): Range | null {
  if (list == 0 || !readAddress(ptr, ptr + bytes, address)) return null;
  let at = list;
  while (at != 0 && !holds(changetype<Range>(at))) at = changetype<Range>(at).next;
  return changetype<Range | null>(at);
}

function holds(range: Range): bool {
  const high = range.high ^ address.high;
  const low = range.low ^ address.low;
  const bits = range.bits;
  if (bits > 64) return (high | (low >> (128 - bits))) == 0;
  return bits == 0 || high >> (64 - bits) == 0;
}

/** Whether a name is one of a list's. */
export function isRangeIn(list: usize, ptr: usize, bytes: usize): bool {
  for (let at = list; at != 0; at = changetype<Range>(at).next)
    if (isText(changetype<Range>(at).name, ptr, bytes)) return true;
  return false;
}
