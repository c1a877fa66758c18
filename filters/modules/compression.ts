import { bindCompression, CompressionPolicy, parseCompression } from "../compression/config";
import { applyCompression } from "../compression/filter";
import { COMPRESSION, policyOf, registerMember } from "../document";
import { nameFilter, openRequest } from "../plugin";
import { CONTINUE } from "../sdk";

export * from "./callbacks";

nameFilter("compression");
registerMember(COMPRESSION, parseCompression, bindCompression);

export function proxy_on_request_headers(_context: u32, _count: u32, _endOfStream: u32): i32 {
  const route = openRequest();
  const policy: CompressionPolicy | null =
    route === null ? null : policyOf<CompressionPolicy>(route, COMPRESSION);
  if (policy !== null) applyCompression(policy);
  return CONTINUE;
}
