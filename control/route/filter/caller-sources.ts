import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallerSourceSchema } from "../../gen/weir/v1/filter_pb.ts";
import type { KeySource, RateLimit } from "../../gen/weir/v1/route_pb.ts";
import { type AddressRange, addressRange, isRange } from "../address.ts";

type CallerSourceInit = MessageInitShape<typeof CallerSourceSchema>;

/** Header in which weir-full.wasm passes the tenant to later filters. */
const tenantHeader = "x-weir-tenant";

/**
 * The addresses and ranges among a route's tenants, wider ones first; empty where
 * addresses tell no one or no range is named: single addresses are found by their name.
 */
export function namedRanges({ identity, tenants }: RateLimit): string[] {
  const names = Object.keys(tenants);
  if (!identity.some(({ source }) => source.case === "sourceIp") || !names.some(isRange)) return [];
  return names
    .map(addressRange)
    .filter((each): each is AddressRange => each !== undefined)
    .sort((a, b) => a.bits - b.bits || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

/** Where filters that decide over headers find a tenant's name. */
export function tenantSources(rateLimit: RateLimit | undefined): CallerSourceInit[] {
  if (rateLimit === undefined) return [];
  const ranges = namedRanges(rateLimit);
  return callerSources(rateLimit.identity).map((each) =>
    each.source?.case === "sourceIp" && ranges.length > 0 ? { ...each, ranges } : each,
  );
}

/**
 * Where token-limit.wasm finds it: it knows no ranges, and reads from a header what
 * weir-full.wasm before it found. Every caller has an address: no later source counts.
 */
export function tokenSources(rateLimit: RateLimit | undefined): CallerSourceInit[] {
  const sources = tenantSources(rateLimit);
  const at = sources.findIndex(({ ranges = [] }) => ranges.length > 0);
  if (at < 0) return sources;
  return [...sources.slice(0, at), { source: { case: "header", value: tenantHeader } }];
}

/** Sources as the filters take them, which know no tenants. */
export function callerSources(sources: readonly KeySource[]): CallerSourceInit[] {
  return sources.flatMap(({ source }) => (source.case === "tenant" ? [] : [{ source }]));
}
