/** The page talks to the same Connect API as every other client: JSON over POST. */

import { noteHold } from "./outcome.js";

/** @import { AnswerOf, Method, RequestOf } from "../answers.ts" */

const tokenKey = "weir-token";
const endOfStream = 2;

/** @param {string} token */
export function setToken(token) {
  sessionStorage.setItem(tokenKey, token);
}

export function hasToken() {
  return sessionStorage.getItem(tokenKey) !== null;
}

/**
 * The body of an answer that is no success.
 * @typedef {{ path?: string, message?: string }} Problem
 * @typedef {{ type?: string, debug?: { problems?: Problem[] } }} Detail
 * @typedef {{ code?: string, message?: string, details?: Detail[] }} ErrorBody
 */

/** An answer of the API that is not a success; `code` is Connect's. */
class ApiError extends Error {
  /** @param {string} code @param {string} message @param {Problem[]} problems */
  constructor(code, message, problems) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

/**
 * Calls one unary method, e.g. call("RouteService/ListRoutes").
 * Throws ApiError, or TypeError when the server cannot be reached.
 * @template {Method} Called
 * @param {Called} method
 * @param {RequestOf<Called>} request
 * @returns {Promise<AnswerOf<Called>>}
 */
export async function call(method, request, timeoutMs = 5000) {
  const response = await fetch(`/weir.v1.${method}`, {
    method: "POST",
    headers: headers("application/json"),
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const body = await response.json().catch(() => ({}));
  noteHold(response.headers.get("weir-holding"));
  if (!response.ok) throw apiError(body, response);
  return body;
}

/**
 * Follows a server stream, one callback per message, until it ends or the
 * signal aborts. Throws as `call` does; a stream that ends by itself is an error.
 * @template {Method} Called
 * @param {Called} method
 * @param {RequestOf<Called>} request
 * @param {AbortSignal} signal
 * @param {(message: AnswerOf<Called>) => void} onMessage
 */
export async function watch(method, request, signal, onMessage) {
  const response = await fetch(`/weir.v1.${method}`, {
    method: "POST",
    headers: headers("application/connect+json"),
    body: envelope(JSON.stringify(request)),
    signal,
  });
  if (!response.ok || response.body === null)
    throw apiError(await response.json().catch(() => ({})), response);
  for await (const { flags, message } of envelopes(response.body)) {
    if (flags & endOfStream) throw apiError(message.error ?? {}, response);
    onMessage(message);
  }
  throw new ApiError("unavailable", "the stream ended", []);
}

/** @param {string} contentType @returns {Record<string, string>} */
function headers(contentType) {
  const token = sessionStorage.getItem(tokenKey);
  return {
    "content-type": contentType,
    "connect-protocol-version": "1",
    ...(token ? { authorization: `Bearer ${token}` } : {}),
  };
}

/** @param {ErrorBody} body @param {Response} response */
function apiError(body, response) {
  const detail = (body.details ?? []).find((each) => each.type === "weir.v1.Problems");
  return new ApiError(
    body.code ?? (response.ok ? "unavailable" : `http ${response.status}`),
    body.message ?? (response.ok ? "the stream ended" : response.statusText),
    detail?.debug?.problems ?? [],
  );
}

/** A message as Connect streams carry it: flags, length, bytes. @param {string} text */
function envelope(text) {
  const bytes = new TextEncoder().encode(text);
  const framed = new Uint8Array(5 + bytes.length);
  new DataView(framed.buffer).setUint32(1, bytes.length);
  framed.set(bytes, 5);
  return framed;
}

/** @param {ReadableStream<Uint8Array>} body */
async function* envelopes(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let pending = new Uint8Array();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const joined = new Uint8Array(pending.length + value.length);
      joined.set(pending);
      joined.set(value, pending.length);
      pending = joined;
      while (pending.length >= 5) {
        const length = new DataView(pending.buffer, pending.byteOffset).getUint32(1);
        if (pending.length < 5 + length) break;
        const message = JSON.parse(decoder.decode(pending.subarray(5, 5 + length)) || "{}");
        yield { flags: pending[0] ?? 0, message };
        pending = pending.subarray(5 + length);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
