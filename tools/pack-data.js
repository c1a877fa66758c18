// Joins the data segments of a WebAssembly module that lie close together: each
// literal of the filters is a segment of its own, and a segment's header costs
// about as much as the literal. Binary format: core specification, section 5.5.

const DATA = 11;
const DATA_COUNT = 12;
/** A gap this small costs less as zeros than as another segment. */
const smallestGap = 8;

/** @param {Buffer} wasm @returns {Buffer} the same module with fewer segments */
export function packData(wasm) {
  const sections = readSections(wasm);
  const data = sections.find(({ id }) => id === DATA);
  if (!data) return wasm;
  const segments = joinSegments(readSegments(data.body));
  const out = [wasm.subarray(0, 8)];
  for (const { id, body } of sections) {
    if (id === DATA) out.push(section(DATA, writeSegments(segments)));
    else if (id === DATA_COUNT) out.push(section(DATA_COUNT, unsigned(segments.length)));
    else out.push(section(id, body));
  }
  return Buffer.concat(out);
}

/** @param {Buffer} wasm */
function readSections(wasm) {
  const sections = [];
  const cursor = { at: 8 };
  while (cursor.at < wasm.length) {
    const id = wasm[cursor.at++] ?? 0;
    const size = readUnsigned(wasm, cursor);
    sections.push({ id, body: wasm.subarray(cursor.at, cursor.at + size) });
    cursor.at += size;
  }
  return sections;
}

/** @param {Buffer} body */
function readSegments(body) {
  const cursor = { at: 0 };
  const count = readUnsigned(body, cursor);
  return Array.from({ length: count }, () => {
    // Active segment of memory 0: flags 0, i32.const offset, end.
    if (body[cursor.at] !== 0 || body[cursor.at + 1] !== 0x41)
      throw new Error("unexpected kind of data segment");
    cursor.at += 2;
    const offset = readUnsigned(body, cursor, true);
    cursor.at++;
    const size = readUnsigned(body, cursor);
    const bytes = body.subarray(cursor.at, cursor.at + size);
    cursor.at += size;
    return { offset, bytes };
  });
}

/** @param {{ offset: number, bytes: Buffer }[]} segments */
function joinSegments(segments) {
  /** @type {{ offset: number, bytes: Buffer }[]} */
  const joined = [];
  for (const segment of [...segments].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1);
    const gap = last ? segment.offset - last.offset - last.bytes.length : Number.POSITIVE_INFINITY;
    if (last && gap < smallestGap)
      last.bytes = Buffer.concat([last.bytes, Buffer.alloc(gap), segment.bytes]);
    else joined.push({ ...segment });
  }
  return joined;
}

/** @param {{ offset: number, bytes: Buffer }[]} segments */
function writeSegments(segments) {
  const parts = segments.flatMap(({ offset, bytes }) => [
    Buffer.from([0, 0x41]),
    signed(offset),
    Buffer.from([0x0b]),
    unsigned(bytes.length),
    bytes,
  ]);
  return Buffer.concat([unsigned(segments.length), ...parts]);
}

/** @param {number} id @param {Buffer} body */
function section(id, body) {
  return Buffer.concat([Buffer.from([id]), unsigned(body.length), body]);
}

/** @param {Buffer} bytes @param {{ at: number }} cursor @param {boolean} [isSigned] */
function readUnsigned(bytes, cursor, isSigned = false) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[cursor.at++] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte >= 128) continue;
    if (isSigned && byte & 64) throw new Error("a data segment at a negative address");
    return value;
  }
}

/** @param {number} value */
function unsigned(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

/** @param {number} value */
function signed(value) {
  const bytes = [];
  for (; value >= 64; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}
