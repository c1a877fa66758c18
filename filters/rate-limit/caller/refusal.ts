import { endProblem, keepHeaders } from "../../refusal";
import {
  beginPair,
  beginPairs,
  beginText,
  EXTENDED,
  endPair,
  literal,
  reply,
  Text,
  write,
  writeText,
  written,
  writtenBytes,
} from "../../sdk";
import { isGrpc } from "../refusal";

const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

const unauthenticated: Text = EXTENDED ? literal("weir_unauthenticated") : 0;
const forbidden: Text = EXTENDED ? literal("weir_forbidden") : 0;

/**
 * Refuses a caller without a known identity with 401, or else one whose tier may not use the
 * route with 403; gRPC gets 16 (UNAUTHENTICATED) or 7 (PERMISSION_DENIED). Coming back does not
 * help: there is no Retry-After.
 */
export function refuseCaller(unknown: bool, tier: Text): void {
  beginPairs(unknown ? 2 : 1);
  beginPair(0, "content-type");
  write("application/problem+json");
  endPair(0);
  if (unknown) {
    // RFC 9110 asks for a challenge; API keys and tokens come as Bearer (RFC 6750).
    beginPair(1, "www-authenticate");
    write('Bearer realm="weir"');
    endPair(1);
  }
  const headers = keepHeaders();
  const grpc = isGrpc();
  beginText();
  if (grpc) writeDetail(unknown, tier);
  else {
    write(
      unknown
        ? '{"title":"Unauthorized","status":401,"code":"unauthenticated","detail":"'
        : '{"title":"Forbidden","status":403,"code":"forbidden","detail":"',
    );
    writeDetail(unknown, tier);
    // Where OpenAI's clients look for words to show.
    write('","error":{"message":"');
    writeDetail(unknown, tier);
    write('","type":"invalid_request_error","code":"');
    write(unknown ? "unauthenticated" : "forbidden");
    write('"}');
    endProblem();
  }
  reply(
    unknown ? 401 : 403,
    unknown ? unauthenticated : forbidden,
    headers.ptr,
    headers.bytes,
    written(),
    writtenBytes(),
    !grpc ? -1 : unknown ? UNAUTHENTICATED : PERMISSION_DENIED,
  );
}

function writeDetail(unknown: bool, tier: Text): void {
  if (unknown) write("no valid credential: send the API key or identity of a tenant");
  else {
    write("tier ");
    writeText(tier);
    write(" may not use this route");
  }
}
