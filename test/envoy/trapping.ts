import { Buffer } from "node:buffer";

const wrapped = "proxy_on_request_headers";
const imports = 2;
const functions = 3;
const exports = 7;
const code = 10;

/**
 * A filter's real module that traps on demand: for a request of that many headers or more,
 * Envoy's own among them; for every other one it is what it was.
 * @param headers 1 to 63
 */
export function trapping(module: Uint8Array, headers: number): Buffer {
  const sections = sectionsOf(module);
  const of = (id: number) => {
    const content = sections.find((section) => section.id === id)?.content;
    if (content === undefined) throw new Error(`the module has no section ${id}`);
    return content;
  };
  const imported = importedFunctions(of(imports));
  const types = reader(of(functions)).vector((read) => read.number());
  let inner = -1;
  const exported = reader(of(exports)).vector((read) => {
    const name = read.bytes();
    const [kind, index] = [read.number(), read.number()];
    const is = name.toString() === wrapped;
    if (is) inner = index;
    return [...leb(name.length), ...name, kind, ...leb(is ? imported + types.length : index)];
  });
  const type = types[inner - imported];
  if (type === undefined) throw new Error(`the module does not export ${wrapped}`);
  // if (headers >= limit) trap; return inner(context, headers, end)
  const body = [
    ...[0, 0x20, 1, 0x41, headers, 0x4f, 0x04, 0x40, 0x00, 0x0b],
    ...[0x20, 0, 0x20, 1, 0x20, 2, 0x10, ...leb(inner), 0x0b],
  ];
  const bodies = reader(of(code)).vector((read) => read.bytes());
  const changed: Record<number, Buffer> = {
    [functions]: vector([...types, type].map(leb)),
    [exports]: vector(exported),
    [code]: vector([...bodies, body].map((each) => [...leb(each.length), ...each])),
  };
  return Buffer.concat([
    module.subarray(0, 8),
    ...sections.flatMap(({ id, content }) => {
      const now = changed[id] ?? content;
      return [Buffer.from([id, ...leb(now.length)]), now];
    }),
  ]);
}

function sectionsOf(module: Uint8Array): { id: number; content: Buffer }[] {
  const read = reader(Buffer.from(module).subarray(8));
  const found: { id: number; content: Buffer }[] = [];
  while (!read.done()) found.push({ id: read.number(), content: read.bytes() });
  return found;
}

function importedFunctions(section: Buffer): number {
  return reader(section).vector((read) => {
    const what = [read.bytes(), read.bytes()].join(".");
    if (read.number() !== 0) throw new Error(`the module imports ${what}, which is no function`);
    return read.number();
  }).length;
}

interface Reader {
  done(): boolean;
  number(): number;
  bytes(): Buffer;
  vector<T>(item: (from: Reader) => T): T[];
}

function reader(bytes: Buffer): Reader {
  let at = 0;
  const read: Reader = {
    done: () => at >= bytes.length,
    number() {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++] ?? 0;
        value |= (byte & 127) << shift;
        if (byte < 128) return value;
      }
    },
    bytes() {
      const length = read.number();
      at += length;
      return bytes.subarray(at - length, at);
    },
    vector: (item) => Array.from({ length: read.number() }, () => item(read)),
  };
  return read;
}

const vector = (items: number[][]) => Buffer.from([...leb(items.length), ...items.flat()]);

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
}
