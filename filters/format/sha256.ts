// SHA-256, FIPS 180-4 section 6.2.
// The constants are what sections 4.2.2 and 5.3.3 define them to be: the first 32
// bits of the fractional parts of the cube roots of the first 64 primes, and of
// the square roots of the first 8. Computed at start, they take no room in the module.
const K: usize = memory.data(256, 8);
const START: usize = memory.data(32, 8);
const schedule: usize = memory.data(256, 8);
const tail: usize = memory.data(128, 8);
const state: usize = memory.data(32, 8);

function fillConstants(): void {
  for (let prime = 2, count: usize = 0; count < 64; prime++) {
    if (!isPrime(prime)) continue;
    if (count < 8) store<u32>(START + (count << 2), fractionOf(Math.sqrt(prime)));
    store<u32>(K + (count << 2), fractionOf(cubeRoot(prime)));
    count++;
  }
}
fillConstants();

function isPrime(value: i32): bool {
  for (let divisor = 2; divisor < value; divisor++) if (value % divisor == 0) return false;
  return true;
}

/** By Newton's method; exact enough for 35 bits. */
function cubeRoot(value: f64): f64 {
  let root: f64 = 7;
  for (let i = 0; i < 20; i++) root -= (root - value / (root * root)) / 3;
  return root;
}

function fractionOf(root: f64): u32 {
  return <u32>((root - Math.floor(root)) * 4294967296);
}

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
