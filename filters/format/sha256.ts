// SHA-256, FIPS 180-4 section 6.2.
const K: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const START: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
const schedule: usize = memory.data(256, 8);
const tail: usize = memory.data(128, 8);
const state: usize = memory.data(32, 8);

function compress(block: usize): void {
  for (let i: usize = 0; i < 16; i++)
    store<u32>(schedule + (i << 2), bswap<u32>(load<u32>(block + (i << 2))));
  for (let i: usize = 16; i < 64; i++) {
    const w = schedule + (i << 2);
    const w15 = load<u32>(w - 60);
    const w2 = load<u32>(w - 8);
    const s0 = rotr<u32>(w15, 7) ^ rotr<u32>(w15, 18) ^ (w15 >> 3);
    const s1 = rotr<u32>(w2, 17) ^ rotr<u32>(w2, 19) ^ (w2 >> 10);
    store<u32>(w, load<u32>(w - 64) + s0 + load<u32>(w - 28) + s1);
  }
  let a = load<u32>(state);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  let e = load<u32>(state, 16);
  let f = load<u32>(state, 20);
  let g = load<u32>(state, 24);
  let h = load<u32>(state, 28);
  for (let i: usize = 0; i < 64; i++) {
    const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
    const choice = (e & f) ^ (~e & g);
    const t1 = h + s1 + choice + load<u32>(K + (i << 2)) + load<u32>(schedule + (i << 2));
    const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + s0 + majority;
  }
  add(0, a);
  add(4, b);
  add(8, c);
  add(12, d);
  add(16, e);
  add(20, f);
  add(24, g);
  add(28, h);
}

function add(offset: usize, value: u32): void {
  store<u32>(state + offset, load<u32>(state + offset) + value);
}

/** Writes the digest of a byte range as 64 lower-case hex digits to `out`. */
export function sha256Hex(ptr: usize, bytes: usize, out: usize): void {
  memory.copy(state, START, 32);
  let at = ptr;
  const end = ptr + bytes;
  for (; at + 64 <= end; at += 64) compress(at);
  const rest = end - at;
  memory.fill(tail, 0, 128);
  memory.copy(tail, at, rest);
  store<u8>(tail + rest, 0x80);
  const last: usize = rest < 56 ? 64 : 128;
  store<u64>(tail + last - 8, bswap<u64>((<u64>bytes) << 3));
  compress(tail);
  if (last == 128) compress(tail + 64);
  for (let i: usize = 0; i < 64; i++) {
    const word = load<u32>(state + ((i >> 3) << 2));
    const digit = <u8>((word >> (28 - ((<u32>i & 7) << 2))) & 15);
    store<u8>(out + i, digit < 10 ? 48 + digit : 87 + digit);
  }
}
