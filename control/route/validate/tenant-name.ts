import type { RateLimit } from "../../gen/weir/v1/route_pb.ts";
import { addressProblem } from "../address.ts";
import { namedRanges } from "../filter/caller-sources.ts";

/** Addresses and ranges of a route that names ranges: the filters walk the list. */
const maxRanges = 256;

/** What is wrong with a tenant's name; undefined where nothing is. */
export function tenantProblem(tenant: string, bySourceIp: boolean): string | undefined {
  if (tenant.startsWith("sha256:") && !/^sha256:[0-9a-f]{64}$/.test(tenant))
    return 'a tenant that starts with "sha256:" must have 64 lower-case hex digits after it';
  if (/^(sk|pk|key|token|bearer)[-_ ]/i.test(tenant))
    return 'a tenant looks like an API key: write "sha256:" and the SHA-256 of the key, never the key';
  const problem = bySourceIp ? addressProblem(tenant) : undefined;
  return problem && `tenant "${tenant}" ${problem}`;
}

/** What is wrong with the ranges of addresses that tenants are; undefined where nothing is. */
export function rangesProblem(rateLimit: RateLimit): string | undefined {
  const count = namedRanges(rateLimit).length;
  return count > maxRanges
    ? `tenants have ${count} addresses and ranges of them: at most ${maxRanges} are allowed when one of them is a range`
    : undefined;
}
