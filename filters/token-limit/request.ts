import { policyOf, Route, TOKEN_LIMIT } from "../document";
import { openRequest } from "../plugin";
import { CONTINUE, findHeader, isLiteral, literal, nowNs, valueBytes, valuePtr } from "../sdk";
import { callerTier, cellOfRequest, findCaller } from "./caller";
import { TokenLimitPolicy } from "./config";
import { openStream } from "./stream";

const path = literal(":path");

/** Begins to follow a request of a route that asks for it. */
export function onRequest(context: u32): i32 {
  const route = openRequest();
  const at: usize = route == 0 ? 0 : policyOf(changetype<Route>(route), TOKEN_LIMIT);
  if (at == 0) return CONTINUE;
  const policy = changetype<TokenLimitPolicy>(at);
  findCaller(policy);
  const stream = openStream(context);
  stream.startNs = nowNs();
  stream.cell = cellOfRequest(policy, callerTier);
  stream.isCompletion = isCompletion();
  return CONTINUE;
}

/** Whether the path's last segment is one that makes a model write. */
function isCompletion(): bool {
  const row = findHeader(path);
  if (row < 0) return false;
  const start = valuePtr(row);
  let end = start;
  while (end < start + valueBytes(row) && load<u8>(end) != 0x3f && load<u8>(end) != 0x23) end++;
  while (end > start && load<u8>(end - 1) == 0x2f) end--;
  let from = end;
  while (from > start && load<u8>(from - 1) != 0x2f) from--;
  const bytes = end - from;
  return (
    isLiteral("completions", from, bytes) ||
    isLiteral("responses", from, bytes) ||
    isLiteral("messages", from, bytes)
  );
}
