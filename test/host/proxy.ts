import type { Buffer } from "node:buffer";

/** State that all workers of one emulated proxy share, as Envoy's do. */
export interface SharedState {
  data: Map<string, { value: Buffer; cas: number }>;
  metrics: Map<number, { type: number; name: string; value: bigint }>;
  /** Numbers of the metrics by type and name. */
  metricIds: Map<string, number>;
  /** Definitions so far; each grows a table in the host. */
  definitions: number;
  nextCas: number;
  nowNs: bigint;
  log: { level: number; message: string }[];
  httpCalls: { cluster: string; headers: [string, string][]; body: string }[];
}

export function createSharedState(): SharedState {
  return {
    data: new Map(),
    metrics: new Map(),
    metricIds: new Map(),
    definitions: 0,
    nextCas: 1,
    nowNs: 1_700_000_000_000_000_000n,
    log: [],
    httpCalls: [],
  };
}

/** Pairs as the ABI lays them out: u32 count, sizes, then key NUL value NUL. */
export function decodePairs(bytes: Buffer): [string, string][] {
  if (bytes.length === 0) return [];
  const count = bytes.readUInt32LE(0);
  let data = 4 + count * 8;
  return Array.from({ length: count }, (_, i) => {
    const keyBytes = bytes.readUInt32LE(4 + i * 8);
    const valueBytes = bytes.readUInt32LE(8 + i * 8);
    const key = bytes.toString("latin1", data, data + keyBytes);
    const value = bytes.toString("latin1", data + keyBytes + 1, data + keyBytes + 1 + valueBytes);
    data += keyBytes + valueBytes + 2;
    return [key, value];
  });
}
