import { ANTHROPIC, beginApiProblem, keepDetail, problemType } from "../apis";
import { endProblem, keepHeaders } from "../refusal";
import {
  Ascii,
  beginPairOf,
  beginPairs,
  beginText,
  endPair,
  literal,
  reply,
  textBytes,
  textPtr,
  write,
  writeSafe,
  written,
  writtenBytes,
} from "../sdk";

const NOT_FOUND: i32 = 5;
const INVALID_ARGUMENT: i32 = 3;
const contentType = literal("content-type");
const notFound = literal("weir_no_route");
const unread = literal("weir_model_unread");

/** Refuses a request for a model that no route has. @param errors in whose words, see ../apis */
export function refuseModel(errors: u8, model: usize, bytes: usize): void {
  beginText();
  write("The model `");
  writeSafe(model, bytes);
  write("` does not exist");
  keepDetail();
  answer(
    errors,
    404,
    '"title":"No route serves this model","status":404,"code":"model_not_found"',
    errors == ANTHROPIC ? "not_found_error" : "invalid_request_error",
    "model_not_found",
  );
}

/** Refuses a request that no route of its host takes. */
export function refuseUnrouted(errors: u8): void {
  beginText();
  write("no route of this host takes this path, method or header");
  keepDetail();
  answer(
    errors,
    404,
    '"title":"No route takes this request","status":404,"code":"route_not_found"',
    errors == ANTHROPIC ? "not_found_error" : "invalid_request_error",
    "route_not_found",
  );
}

/** Refuses a call of an API that names no model. */
export function refuseMissing(errors: u8): void {
  beginText();
  write("the request names no model: model is required");
  keepDetail();
  answer(
    errors,
    400,
    '"title":"The request names no model","status":400,"code":"model_missing"',
    "invalid_request_error",
    "model_missing",
  );
}

/** Refuses a request whose model cannot be told. */
export function refuseUnread(errors: u8, reason: Ascii): void {
  beginText();
  write("the model of the request cannot be told: ");
  write(reason);
  keepDetail();
  answer(
    errors,
    400,
    '"title":"The model of the request cannot be told","status":400,"code":"model_unreadable"',
    "invalid_request_error",
    "model_unreadable",
  );
}

/** Refuses a request whose model does not come soon enough. */
export function refuseLong(errors: u8): void {
  beginText();
  write("the body names no model within the bytes that are held for it: put model first");
  keepDetail();
  answer(
    errors,
    413,
    '"title":"The model of the request comes too late","status":413,"code":"model_too_late"',
    "invalid_request_error",
    "model_too_late",
  );
}

function answer(errors: u8, status: i32, members: Ascii, type: Ascii, code: Ascii): void {
  beginPairs(1);
  beginPairOf(0, textPtr(contentType), textBytes(contentType));
  write(problemType(errors));
  endPair(0);
  const headers = keepHeaders();
  beginApiProblem(errors, "{", members, type, code);
  endProblem();
  const known = status == 404;
  reply(
    status,
    known ? notFound : unread,
    headers.ptr,
    headers.bytes,
    written(),
    writtenBytes(),
    known ? NOT_FOUND : INVALID_ARGUMENT,
  );
}
