import { JsonScan, keptText } from "../../format/json-scan";
import { count, LIMIT_REFUSED } from "../../measure";
import { Ascii, REQUEST_HEADERS, readHeaders } from "../../sdk";
import { lookAhead } from "../budget/budget";
import { neededTokens, settle } from "../budget/reservation";
import { refuseBody, refuseTokens } from "../refusal";
import { dropStream, Stream } from "../stream";

// A body that shows while it passes that its request may not go on. The pods have
// part of it then and wait for the rest, which never comes: the answer is the
// filter's, and the request is given up before a model can read it.

const NONE: i32 = 0;
const TOKENS: i32 = 1;
const FIELD: i32 = 2;
const REPEATED: i32 = 3;
const BODY: i32 = 4;
const TOO_LARGE: i32 = 5;
const ENCODED: i32 = 6;

let denied: i32 = NONE;
let field: usize = 0;
let fieldBytes: usize = 0;
let why: Ascii = "";

/** A new callback begins. */
export function beginDenial(): void {
  denied = NONE;
}
export function isDenied(): bool {
  return denied != NONE;
}

/** There are too few tokens; those that are left were looked up last. */
export function denyTokens(): void {
  if (denied == NONE) denied = TOKENS;
}

/** A field has a value that says nothing the filter can hold to. */
export function denyField(name: usize, bytes: usize, reason: Ascii): void {
  if (denied != NONE) return;
  denied = FIELD;
  field = name;
  fieldBytes = bytes;
  why = reason;
}

/** A name that means something stands twice: servers differ in which one they take. */
export function denyRepeated(scan: JsonScan): void {
  if (denied != NONE) return;
  denied = REPEATED;
  field = keptText(scan);
  fieldBytes = scan.kept;
}

/** The body is no JSON, or not whole. */
export function denyBody(): void {
  if (denied == NONE) denied = BODY;
}

/** A piece of it cannot be read or written anew. */
export function denyPiece(): void {
  if (denied == NONE) denied = TOO_LARGE;
}

/** The body is encoded, or says that it is: servers differ in whether they believe it. */
export function denyEncoding(): void {
  if (denied == NONE) denied = ENCODED;
}

/** Answers in the pods' place, and forgets the request. */
export function finishDenial(stream: Stream): void {
  settle(stream, 0);
  // Those read last may be another request's; while a body passes there are none.
  readHeaders(REQUEST_HEADERS);
  if (denied == TOKENS) {
    count(stream.cell, LIMIT_REFUSED);
    lookAhead(stream, neededTokens(stream));
    refuseTokens(stream);
  } else if (denied == FIELD)
    refuseBody(
      stream,
      400,
      '"title":"A field of the body cannot be read","status":400,"code":"field_unreadable"',
      "field_unreadable",
      field,
      fieldBytes,
      why,
    );
  else if (denied == REPEATED)
    refuseBody(
      stream,
      400,
      '"title":"A field of the body stands there twice","status":400,"code":"field_repeated"',
      "field_repeated",
      field,
      fieldBytes,
      " stands in the body more than once",
    );
  else if (denied == BODY)
    refuseBody(
      stream,
      400,
      '"title":"The body is not a whole JSON document","status":400,"code":"body_malformed"',
      "body_malformed",
      0,
      0,
      "the body is no JSON in UTF-8, is not whole, or is nested deeper than 64 levels",
    );
  else if (denied == ENCODED)
    refuseBody(
      stream,
      415,
      '"title":"The encoding of the body cannot be read","status":415,"code":"encoding_unreadable"',
      "encoding_unreadable",
      0,
      0,
      "content-encoding is not identity: what it hides cannot be counted",
    );
  else
    refuseBody(
      stream,
      413,
      '"title":"The body cannot be read","status":413,"code":"body_unreadable"',
      "body_unreadable",
      0,
      0,
      "a piece of the body is larger than 4194304 bytes, or there is no memory to read it",
    );
  dropStream(stream.context);
}
