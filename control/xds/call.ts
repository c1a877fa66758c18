import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type GrpcCode, grpcCode, StatusError } from "./status.ts";

/** One gRPC call on an HTTP/2 stream: how it begins and how it ends. */
export interface GrpcCall {
  readonly stream: ServerHttp2Stream;
  /** When the call began, and ended or is to end, by a clock that never jumps. */
  readonly beganMs: number;
  readonly endedMs: () => number | undefined;
  /** Ends the call with a status; only the first one counts. */
  end(code: GrpcCode, message?: string): void;
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** A timer takes no more. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * Answers the headers of a call (gRPC over HTTP/2, "Requests" and "Responses").
 * @returns undefined when the request is not gRPC and was answered with an HTTP status;
 *   a call that has ended when it is gRPC that is not spoken here
 */
export function acceptCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): GrpcCall | undefined {
  if (headers[":method"] !== "POST") {
    return refuse(stream, { ":status": 405, allow: "POST" });
  }
  // "If Content-Type does not begin with application/grpc, gRPC servers SHOULD respond with
  // HTTP status of 415". gRPC-Web begins with the same letters and is another protocol.
  const subtype = /^application\/grpc(?:\+([^;\s]+))?\s*(?:;.*)?$/i.exec(
    headers["content-type"] ?? "",
  );
  if (subtype === null) {
    return refuse(stream, { ":status": 415 });
  }
  const call = openCall(stream);
  const problem = problemOf(headers, subtype[1]);
  if (problem) call.end(problem.code, problem.message);
  else limitTime(call, headers["grpc-timeout"]);
  return call;
}

/** Answers what is no gRPC call, and reads no more of it. */
function refuse(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): undefined {
  stream.on("error", () => {});
  stream.respond(headers, { endStream: true });
  // A reset in the same turn overtakes the answer: Node 22 does not send it then, and curl drops it.
  setImmediate(() => stream.close());
}

function openCall(stream: ServerHttp2Stream): GrpcCall {
  let code: GrpcCode | undefined;
  let words = "";
  let endedMs: number | undefined;
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-accept-encoding": "identity",
    },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () =>
    stream.sendTrailers({
      "grpc-status": String(code ?? grpcCode.unavailable),
      ...(words ? { "grpc-message": encodeURIComponent(words) } : {}),
    }),
  );
  return {
    stream,
    beganMs: performance.now(),
    endedMs: () => endedMs,
    end(with_, message = "") {
      if (code !== undefined) return;
      code = with_;
      endedMs = performance.now();
      words = message;
      if (!stream.destroyed && !stream.writableEnded) stream.end();
    },
  };
}

/** What of a call is gRPC that is not spoken here; te is not looked at, as no proxy that drops trailers is in between. */
function problemOf(headers: IncomingHttpHeaders, subtype = "proto"): StatusError | undefined {
  if (subtype.toLowerCase() !== "proto")
    return new StatusError(
      grpcCode.unimplemented,
      `application/grpc+${subtype} is not accepted: use application/grpc+proto`,
    );
  const encoding = headers["grpc-encoding"] ?? "identity";
  if (encoding !== "identity")
    return new StatusError(
      grpcCode.unimplemented,
      `grpc-encoding ${encoding} is not accepted: use identity`,
    );
  const timeout = headers["grpc-timeout"];
  if (timeout !== undefined && timeoutMs(timeout) === undefined)
    return new StatusError(grpcCode.internal, `grpc-timeout ${timeout} is not valid`);
  return undefined;
}

/** Milliseconds of a grpc-timeout header: at most 8 digits and a unit. */
function timeoutMs(header: string | string[]): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? [];
  return digits === undefined ? undefined : Number(digits) * (unitMs[unit] ?? 1);
}

function limitTime(call: GrpcCall, header: string | string[] | undefined): void {
  if (header === undefined) return;
  const timer = setTimeout(
    () => call.end(grpcCode.deadlineExceeded, `the call's grpc-timeout of ${header} is over`),
    Math.min(timeoutMs(header) ?? maxTimerMs, maxTimerMs),
  );
  timer.unref();
  call.stream.once("close", () => clearTimeout(timer));
}
