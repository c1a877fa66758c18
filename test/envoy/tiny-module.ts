import { Buffer } from "node:buffer";

// Modules of a few bytes for a real Envoy, put together by hand: what a filter
// costs that does nothing, and what becomes of one that traps.

/** A callback: how many i32 it takes, whether it gives one, and its instructions. */
export interface Callback {
  params: number;
  result?: boolean;
  code: number[];
}

const i32 = 0x7f;
const end = 0x0b;
/** Traps (WebAssembly core specification, 5.4.1). */
export const unreachable = [0x00];
/** Gives a number below 64. */
export const give = (value: number) => [0x41, value];
/** Calls the one import, proxy_set_tick_period_milliseconds, with a period below 64 ms or of 1,000. */
export const tick = (periodMs: number) => [
  0x41,
  ...(periodMs < 64 ? [periodMs] : [(periodMs & 127) | 128, periodMs >> 7]),
  0x10,
  0,
  0x1a,
];

const vector = (items: number[][]) => [items.length, ...items.flat()];
const name = (text: string) => [text.length, ...Buffer.from(text, "latin1")];

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
}

function section(id: number, content: number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

/** A Proxy-Wasm module with these callbacks, beside what every module has. */
export function tinyModule(callbacks: Record<string, Callback>): Buffer<ArrayBuffer> {
  const all: [string, Callback][] = [
    ["proxy_abi_version_0_2_1", { params: 0, code: [] }],
    // The host's buffers may overwrite each other: no one reads them.
    ["proxy_on_memory_allocate", { params: 1, result: true, code: [0x41, 0x80, 0x08] }],
    ...Object.entries(callbacks),
  ];
  const type = (params: number, result: boolean) => [
    0x60,
    ...vector(Array.from({ length: params }, () => [i32])),
    ...(result ? [1, i32] : [0]),
  ];
  const types = [type(1, true), ...all.map(([, each]) => type(each.params, each.result === true))];
  const imported = [...name("env"), ...name("proxy_set_tick_period_milliseconds"), 0, 0];
  // One page and more, so that what the host writes has room.
  const memory = [0, 32];
  const exported = [[...name("memory"), 2, 0], ...all.map(([key], i) => [...name(key), 0, i + 1])];
  const bodies = all.map(([, { code }]) => [...leb(code.length + 2), 0, ...code, end]);
  return Buffer.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([imported])),
    ...section(3, vector(all.map((_, i) => [i + 1]))),
    ...section(5, vector([memory])),
    ...section(7, vector(exported)),
    ...section(10, vector(bodies)),
  ]);
}
